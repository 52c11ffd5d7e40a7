import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { openProxy } from '../../shared/testing/tcp-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { openTestStore } from '../support/store.ts'
import {
  call,
  caught,
  createSystem,
  dies,
  now,
  oldToken,
  type TestSystem,
} from '../support/system.ts'

describe('the whole system', function () {
  this.timeout(60_000)
  let system: TestSystem
  beforeEach(() => {
    system = createSystem()
  })
  afterEach(() => system.stop())

  const revoke = (process: KnellProcess, match: unknown, more: object = {}) =>
    call(process, system.apiKey, '/v1/revocations', { match, ...more })

  it('brings a revocation and an expiry to three services, and harms no bystander', async () => {
    const notifier = await system.start('notifier')
    const services = await Promise.all(
      ['api', 'worker', 'sessions'].map((service) => system.subscribe({ service })),
    )
    const expired = services.map((service) => {
      const heard: string[] = []
      service.on('expired', ({ jti }) => heard.push(jti))
      return heard
    })
    const exp = now() + 2
    const tokens = Array.from({ length: 700 }, (_, i) => ({
      claims: { jti: `t-${i}`, sub: 'x', exp },
    }))
    const registered = await call(notifier, system.apiKey, '/v1/tokens', tokens)
    expect(registered.body).to.deep.equal({ registered: 700 })
    const done = await revoke(notifier, { sub: 'alice' }, { reason: 'logout' })
    expect(done.status).to.equal(201)
    await Promise.all(services.map((service) => dies(service, { sub: 'alice' })))
    for (const service of services) {
      const claims = { sub: 'bob', jti: 'b', ...oldToken() }
      expect(service.check(claims)).to.include({ active: true, code: 'active', decidedBy: 'view' })
    }
    for (const heard of expired) {
      await eventually(() => heard.length >= 700, { what: '700 expiries' })
      expect(new Set(heard).size).to.equal(700)
      expect(heard).to.have.length(700)
    }
    expect(Date.now() / 1000).to.be.at.least(exp)
  })

  it('loses nothing when the notifier is killed between the store write and the publish', async () => {
    const broker = new URL(String(system.env['AMQP_URL']))
    const proxy = await openProxy({ target: { host: broker.hostname, port: Number(broker.port) } })
    try {
      const poller = await system.start('poller')
      const notifier = await system.start('notifier', { AMQP_URL: proxy.url(broker.href) })
      const service = await system.subscribe({ pull: [poller.url] })
      await eventually(
        async () => (await call(notifier, system.apiKey, '/readyz')).body['status'] === 'ok',
      )
      proxy.stall()
      const started = performance.now()
      const done = await revoke(notifier, { sub: 'alice' })
      expect(done.status).to.equal(201)
      expect(performance.now() - started, 'a dead broker slows no revocation down').to.be.lessThan(
        2000,
      )
      await notifier.kill('SIGKILL')
      await dies(service, { sub: 'alice' })
      await eventually(async () => (await caught(poller, system.apiKey)).entries >= 1, {
        what: 'the sweep',
      })
    } finally {
      await proxy.close()
    }
  })

  it('announces, by the sweep alone, what expired while no notifier lived', async () => {
    const poller = await system.start('poller')
    const notifier = await system.start('notifier')
    const service = await system.subscribe()
    const heard: string[] = []
    service.on('expired', ({ jti }) => heard.push(jti))
    const exp = now() + 2
    await call(notifier, system.apiKey, '/v1/tokens', [
      { claims: { jti: 'a', exp } },
      { claims: { jti: 'b', exp } },
    ])
    await notifier.kill('SIGKILL')
    await eventually(() => heard.length === 2, { what: 'two expiries', timeoutMs: 15_000 })
    await eventually(async () => (await caught(poller, system.apiKey)).tokens === 2, {
      what: 'the report',
    })
    expect(heard.sort()).to.deep.equal(['a', 'b'])
  })

  it('has one effect with two notifiers and two pollers at once', async () => {
    const [one, two] = await Promise.all([system.start('notifier'), system.start('notifier')])
    const pollers = await Promise.all([system.start('poller'), system.start('poller')])
    const service = await system.subscribe()
    const heard: string[] = []
    const changes: string[] = []
    service.on('expired', ({ jti }) => heard.push(jti))
    service.on('revoked', ({ match }) => changes.push(String(match['sub'])))
    const exp = now() + 3
    const claims = Array.from({ length: 2000 }, (_, i) => ({ claims: { jti: `t-${i}`, exp } }))
    await Promise.all([
      call(one, system.apiKey, '/v1/tokens', claims),
      call(two, system.apiKey, '/v1/tokens', claims),
      ...Array.from({ length: 50 }, (_, i) => revoke(i % 2 === 0 ? one : two, { sub: `u${i}` })),
    ])
    await Promise.all(Array.from({ length: 50 }, (_, i) => dies(service, { sub: `u${i}` })))
    await eventually(() => heard.length >= 2000, { what: '2,000 expiries' })
    await revoke(one, { sub: 'marker' })
    await dies(service, { sub: 'marker' })
    expect(new Set(heard).size).to.equal(2000)
    expect(heard).to.have.length(2000)
    expect(changes.filter((sub) => sub !== 'marker')).to.have.length(50)
    const [poller] = pollers
    const sweeps = (await call(poller, system.apiKey, '/v1/sweeps')).body['sweeps'] as {
      trigger: string
    }[]
    const triggers = sweeps.map(({ trigger }) => trigger)
    expect(new Set(triggers).size, 'one sweep per tick').to.equal(triggers.length)
  })

  it('gives a view that starts late all that still holds, and nothing that was restored', async () => {
    const notifier = await system.start('notifier')
    const jti = '7b0d8c1e-1111-4222-8333-444455556666'
    await revoke(notifier, { sub: 'alice' })
    await revoke(notifier, { jti })
    await revoke(notifier, { sub: 'bob' })
    await call(notifier, system.apiKey, '/v1/revocations/restore', { match: { sub: 'bob' } })
    const late = await system.subscribe()
    const token = oldToken()
    expect(late.check({ ...token, sub: 'alice' }).code).to.equal('revoked')
    expect(late.check({ ...token, jti }).code).to.equal('revoked')
    expect(late.check({ ...token, sub: 'bob' }).code).to.equal('active')
  })

  it('goes on when every BullMQ key is wiped', async () => {
    const notifier = await system.start('notifier')
    const service = await system.subscribe()
    const heard: string[] = []
    service.on('expired', ({ jti }) => heard.push(jti))
    const { createRedis } = await import('../../shared/store/redis.ts')
    const { parseRedisUrl } = await import('../../shared/config/redis-url.ts')
    const redis = createRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    for (let i = 0; i < 3; i++) {
      const exp = now() + 2
      await call(notifier, system.apiKey, '/v1/tokens', [{ claims: { jti: `t-${i}`, exp } }])
      for (const key of await redis.keys(`{${system.namespace}}:*`)) await redis.del(key)
      await eventually(() => heard.length === i + 1, { what: `expiry ${i}` })
    }
    redis.disconnect()
  })

  it('answers a retry under the same Idempotency-Key with the first answer', async () => {
    const notifier = await system.start('notifier')
    const headers = { 'idempotency-key': 'abc' }
    const body = { match: { sub: 'alice' } }
    const first = await call(notifier, system.apiKey, '/v1/revocations', body, headers)
    const again = await call(notifier, system.apiKey, '/v1/revocations', body, headers)
    expect(again.body).to.deep.equal(first.body)
    const other = await call(
      notifier,
      system.apiKey,
      '/v1/revocations',
      { match: { sub: 'bob' } },
      headers,
    )
    expect([other.status, other.body['code']]).to.deep.equal([422, 'idempotency_conflict'])
  })

  it('stops on SIGTERM within its time, with nothing left unsent', async () => {
    const notifier = await system.start('notifier')
    const service = await system.subscribe()
    await eventually(() => service.stats.push === 'up', { what: 'the push path' })
    await Promise.all(Array.from({ length: 200 }, (_, i) => revoke(notifier, { sub: `u${i}` })))
    const { code } = await notifier.stop()
    expect(code, notifier.output.slice(-20).join('\n')).to.equal(0)
    await Promise.all(Array.from({ length: 200 }, (_, i) => dies(service, { sub: `u${i}` })))
    const store = openTestStore({ namespace: system.namespace })
    for (let shard = 0; shard < 4; shard++) {
      expect(await store.feed.countUnsent('default', 'revocations', shard)).to.equal(0)
    }
    store.store.close()
  })
})
