import { expect } from 'chai'
import { openEngines } from '../../shared/cli/engines/engines.ts'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { eventually } from '../support/eventually.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import { engineUrl } from '../support/store.ts'
import { call, createSystem, dies, now, type TestSystem } from '../support/system.ts'

describe('on Redis Cluster, the same code', function () {
  this.timeout(60_000)
  let redis: PrivateEngine
  let nodes: string
  let system: TestSystem
  before(async () => {
    const cluster = await startRedisCluster()
    redis = cluster.redis
    nodes = cluster.nodes
    system = createSystem({ REDIS_URL: cluster.nodes })
  })
  after(async () => {
    await system.stop()
    await redis.stop()
  })

  it('can be given to the tests and the demo', async () => {
    const env = { AMQP_URL: engineUrl('AMQP_URL'), REDIS_URL: nodes }
    const engines = await openEngines({ env, log: () => {} })
    expect(engines).to.include({ redisUrl: nodes, source: 'given' })
    await engines.stop()
  })

  it('revokes, restores, announces, sweeps and pulls', async () => {
    const notifier = await system.start('notifier')
    const poller = await system.start('poller')
    const service = await system.subscribe({ pull: [poller.url] })
    const heard: string[] = []
    service.on('expired', ({ jti }) => heard.push(jti))
    const exp = now() + 3
    const claims = Array.from({ length: 900 }, (_, i) => ({
      claims: { jti: `t-${i}`, sub: 's', exp },
    }))
    expect((await call(notifier, system.apiKey, '/v1/tokens', claims)).body).to.deep.equal({
      registered: 900,
    })
    const matches = [
      { sub: 'a' },
      { jti: 'j' },
      { sid: 's1' },
      { kid: 'k' },
      { dept: 5 },
      { aud: 'api' },
    ]
    for (const match of matches) {
      const headers = { 'idempotency-key': JSON.stringify(match) }
      const done = await call(notifier, system.apiKey, '/v1/revocations', { match }, headers)
      expect(done.status, JSON.stringify(done.body)).to.equal(201)
    }
    await dies(service, { sub: 'a' })
    const asked = { claims: { sub: 'a', iat: now() - 60, exp: now() + 60 }, header: { kid: 'x' } }
    expect((await call(poller, system.apiKey, '/v1/check', asked)).body['code']).to.equal('revoked')
    await call(notifier, system.apiKey, '/v1/revocations/restore', { match: { sub: 'a' } })
    expect((await call(poller, system.apiKey, '/v1/check', asked)).body['code']).to.equal('active')
    await eventually(() => heard.length === 900, { what: '900 expiries' })
    const { body } = await call(notifier, system.apiKey, '/v1/audit')
    const actions = (body['audit'] as { action: string }[]).map(({ action }) => action)
    expect(actions).to.deep.equal(['restore', ...matches.map(() => 'revoke'), 'register'])
    const due = await call(notifier, system.apiKey, '/v1/due')
    expect(due.body).to.include({ complete: true, overdue: 0 })
    const swept = await call(notifier, system.apiKey, '/v1/sweeps', { wait: true })
    expect(swept.status).to.equal(200)
    await eventually(async () => {
      const { body } = await call(poller, system.apiKey, '/v1/sweeps')
      return (body['sweeps'] as unknown[]).length > 1
    })
  })
})
