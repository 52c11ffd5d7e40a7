import { expect } from 'chai'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRabbit } from '../../shared/cli/engines/private-rabbit.ts'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, dies, now, oldToken, type TestSystem } from '../support/system.ts'

describe('outages', function () {
  this.timeout(90_000)
  let rabbit: PrivateEngine
  let redis: PrivateEngine
  let system: TestSystem
  before(async () => {
    rabbit = await startRabbit()
  })
  after(() => rabbit.stop())
  beforeEach(async () => {
    redis = await startRedis()
    system = createSystem({ AMQP_URL: rabbit.url, REDIS_URL: redis.url })
  })
  afterEach(async () => {
    await system.stop()
    await redis.stop()
  })

  const post = (url: string, match: unknown) =>
    call({ url }, system.apiKey, '/v1/revocations', { match })

  it('of RabbitMQ for 10 s slow no revocation down, reach views by pulling, and end without loss', async () => {
    const notifier = await system.start('notifier')
    const poller = await system.start('poller')
    const service = await system.subscribe()
    const heard: string[] = []
    service.on('expired', ({ jti }) => heard.push(jti))
    await eventually(() => service.stats.push === 'up', { what: 'the push path' })
    await rabbit.signal('SIGKILL')
    await eventually(() => service.stats.push === 'down', { what: 'the loss to be seen' })
    const exp = now() + 3
    await call(notifier, system.apiKey, '/v1/tokens', [{ claims: { jti: 'in-the-dark', exp } }])
    const started = performance.now()
    for (let i = 0; i < 20; i++)
      expect((await post(notifier.url, { sub: `u${i}` })).status).to.equal(201)
    expect((performance.now() - started) / 20).to.be.lessThan(500)
    for (let i = 0; i < 20; i++) await dies(service, { sub: `u${i}` })
    await eventually(() => heard.length === 1, { what: 'the expiry' })
    expect((await call(notifier, system.apiKey, '/readyz')).status).to.equal(200)
    expect((await call(notifier, system.apiKey, '/readyz')).body['status']).to.equal('degraded')
    await eventually(() => performance.now() - started > 10_000, {
      timeoutMs: 15_000,
      what: '10 s',
    })
    await rabbit.start()
    await eventually(() => service.stats.push === 'up', {
      timeoutMs: 30_000,
      what: 'the push path',
    })
    await post(notifier.url, { sub: 'after' })
    await dies(service, { sub: 'after' })
    const waiting = async (): Promise<boolean> => {
      const { body } = await call(poller, system.apiKey, '/v1/sweeps?limit=1')
      return (body['sweeps'] as { waitingEntries: number }[])[0]?.waitingEntries === 0
    }
    await eventually(waiting, { timeoutMs: 30_000, what: 'the backlog to drain' })
    expect(heard).to.deep.equal(['in-the-dark'])
  })

  it('of both RabbitMQ and every notifier while tokens expire leave the sweep and the pull path, which lose nothing', async () => {
    const notifier = await system.start('notifier')
    await system.start('poller')
    const service = await system.subscribe()
    const heard: string[] = []
    service.on('expired', ({ jti }) => heard.push(jti))
    await eventually(() => service.stats.push === 'up', { what: 'the push path' })
    const exp = now() + 3
    const claims = Array.from({ length: 300 }, (_, i) => ({ claims: { jti: `t-${i}`, exp } }))
    await call(notifier, system.apiKey, '/v1/tokens', claims)
    await notifier.kill('SIGKILL')
    await rabbit.signal('SIGKILL')
    await eventually(() => heard.length >= 300, { timeoutMs: 20_000, what: '300 expiries' })
    expect(new Set(heard).size).to.equal(300)
    await rabbit.start()
  })

  it('of Redis leave views answering from memory; after a restart they take the new epoch and forget nothing', async () => {
    const notifier = await system.start('notifier')
    await system.start('poller')
    const service = await system.subscribe()
    await post(notifier.url, { sub: 'before' })
    await dies(service, { sub: 'before' })
    await redis.signal('SIGKILL')
    await eventually(async () => (await call(notifier, system.apiKey, '/readyz')).status === 503, {
      what: 'the notifier to see it',
    })
    const token = oldToken()
    expect(service.check({ ...token, sub: 'before' }).code).to.equal('revoked')
    expect(service.check({ ...token, sub: 'other' }).code).to.equal('active')
    const lost = await post(notifier.url, { sub: 'during' })
    expect([lost.status, lost.body['code']]).to.deep.equal([503, 'store_unavailable'])
    await redis.start()
    const { snapshots } = service.stats
    const again = await eventually(async () => {
      const answer = await post(notifier.url, { sub: 'after' })
      return answer.status === 201 ? answer : undefined
    })
    expect(again?.body['seq']).to.equal(1)
    await dies(service, { sub: 'after' })
    await dies(service, { sub: 'before' })
    await eventually(() => service.stats.snapshots > snapshots, { what: 'a new snapshot' })
    await eventually(() => service.freshness().staleMs < 3000, { what: 'freshness' })
  })

  it('of the store’s memory are never taken for "nothing revoked": an emptied Redis means unknown', async () => {
    const notifier = await system.start('notifier')
    const service = await system.subscribe()
    const jti = '7b0d8c1e-1111-4222-8333-444455556666'
    await post(notifier.url, { sub: 'alice' })
    await post(notifier.url, { jti })
    await dies(service, { sub: 'alice' })
    await dies(service, { jti })
    const control = await system.subscribe({ service: 'empty-handed' })
    await control.close()
    const { createRedis } = await import('../../shared/store/redis.ts')
    const { parseRedisUrl } = await import('../../shared/config/redis-url.ts')
    const client = createRedis(parseRedisUrl(redis.url), () => {})
    await client.flushall()
    client.disconnect()
    const { snapshots } = service.stats
    await eventually(() => service.stats.snapshots > snapshots, { what: 'a new snapshot' })
    await post(notifier.url, { sub: 'bob' })
    await dies(service, { sub: 'bob' })
    const token = oldToken()
    expect(service.check({ ...token, sub: 'alice' }).code).to.equal('revoked')
    expect(service.check({ ...token, jti }).code).to.equal('revoked')
    expect(service.check({ ...token, sub: 'carol' }).code).to.equal('active')
  })

  it('at the start keep no process from starting, and end without a restart', async () => {
    await redis.signal('SIGTERM')
    await rabbit.signal('SIGTERM')
    const notifier = await system.start('notifier', {}, '/livez')
    const poller = await system.start('poller', {}, '/livez')
    const service = await system.subscribe({ waitReady: false })
    expect(service.check({ sub: 'a', iat: now(), exp: now() + 60 })).to.include({
      active: false,
      code: 'not_ready',
    })
    const ready = await call(notifier, system.apiKey, '/readyz')
    expect(ready.status).to.equal(503)
    await Promise.all([redis.start(), rabbit.start()])
    for (const process of [notifier, poller]) {
      await eventually(
        async () => (await call(process, system.apiKey, '/readyz')).body['status'] === 'ok',
        { timeoutMs: 30_000, what: process.kind },
      )
    }
    await service.ready(AbortSignal.timeout(20_000))
    await post(notifier.url, { sub: 'alice' })
    await dies(service, { sub: 'alice' })
  })
})
