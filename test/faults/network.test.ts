import { expect } from 'chai'
import { openHostile } from '../support/hostile.ts'
import { eventually } from '../support/eventually.ts'
import { scrape } from '../support/metrics.ts'
import { openProxyTo } from '../support/open-proxy-to.ts'
import { engineUrl } from '../support/store.ts'
import { call, createSystem, dies, oldToken, type TestSystem } from '../support/system.ts'
import { createWitness, type Witness } from '../support/witness.ts'

type Proxied = Awaited<ReturnType<typeof openProxyTo>>

/** What a network does between the parts. */
describe('the network', function () {
  this.timeout(120_000)
  let system: TestSystem
  let witness: Witness
  const proxies: Proxied[] = []

  beforeEach(() => {
    system = createSystem()
    witness = createWitness(system)
  })

  afterEach(async () => {
    await system.stop()
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()))
  })

  async function proxyTo(url: string): Promise<Proxied> {
    const proxy = await openProxyTo(url)
    proxies.push(proxy)
    return proxy
  }

  for (const [what, slowness] of [
    ['late by 200 ms each way', { latencyMs: 200 }],
    ['cut into pieces of 31 bytes', { sliceBytes: 31 }],
    ['of 20 kB a second whose connections end late', { bytesPerSecond: 20_000, slowCloseMs: 500 }],
  ] as const) {
    it(`${what} loses and alters nothing on any way`, async () => {
      const [redis, rabbit] = [
        await proxyTo(engineUrl('REDIS_URL')),
        await proxyTo(engineUrl('AMQP_URL')),
      ]
      const notifier = await system.start('notifier', {
        REDIS_URL: redis.through,
        AMQP_URL: rabbit.through,
      })
      const http = await proxyTo(notifier.url)
      for (const proxy of proxies) proxy.slow(slowness)
      const view = await system.subscribe({ amqp: rabbit.through, pull: [http.through] })
      for (let i = 0; i < 10; i++) await witness.revoke(notifier, { sub: `slow-${i}` })
      await witness.holds(notifier, [view], 60_000)
      await Promise.all(proxies.map((proxy) => proxy.resume()))
      await eventually(() => view.stats.push === 'up', { timeoutMs: 30_000 })
      const { pushed } = view.stats
      await witness.revoke(notifier, { sub: 'after' })
      await eventually(() => view.stats.pushed > pushed, { timeoutMs: 30_000 })
      await witness.holds(notifier, [view])
    })
  }

  it('of 1 byte a second is taken for silence: each way times out, and the other serves', async () => {
    const notifier = await system.start('notifier')
    const poller = await system.start('poller')
    const [rabbit, http] = [await proxyTo(engineUrl('AMQP_URL')), await proxyTo(notifier.url)]
    const view = await system.subscribe({
      amqp: rabbit.through,
      pull: [http.through, poller.url],
      maxStaleness: 15_000,
    })
    witness.bound(view, 15_000)
    await eventually(() => view.stats.push === 'up')
    for (const proxy of [rabbit, http]) proxy.slow({ bytesPerSecond: 1 })
    for (let i = 0; i < 5; i++) await witness.revoke(notifier, { sub: `trickle-${i}` })
    await dies(view, { sub: 'trickle-4' })
    await witness.holds(poller, [view])
    expect(view.check({ ...oldToken(), sub: 'other' }).code).to.equal('active')
    for (const proxy of [rabbit, http]) await proxy.resume()
    await eventually(() => view.stats.push === 'up', { timeoutMs: 60_000 })
  })

  it('that resets every connection to RabbitMQ during its set-up is tried again, until it lets one through', async () => {
    const rabbit = await proxyTo(engineUrl('AMQP_URL'))
    // In the handshake, in the opening, among declarations, and in the midst of a frame.
    const places = [1, 100, 480, 520, 540, 560, 580, 600, 640, 700]
    rabbit.resetAfter(places[0] ?? 1)
    const notifier = await system.start('notifier', { AMQP_URL: rabbit.through })
    const view = await system.subscribe({ amqp: rabbit.through, maxStaleness: 5000 })
    witness.bound(view, 5000)
    for (const bytes of places) {
      rabbit.resetAfter(bytes)
      await witness.revoke(notifier, { sub: `reset-${bytes}` })
      await dies(view, { sub: `reset-${bytes}` })
      expect(view.stats.push).to.equal('down')
    }
    await rabbit.resume()
    await eventually(() => view.stats.push === 'up', { timeoutMs: 30_000, what: 'the push path' })
    await witness.holds(notifier, [view])
  })

  it('that resets connections in the midst of frames, again and again, loses nothing', async () => {
    const rabbit = await proxyTo(engineUrl('AMQP_URL'))
    const redis = await proxyTo(engineUrl('REDIS_URL'))
    const notifier = await system.start('notifier', {
      AMQP_URL: rabbit.through,
      REDIS_URL: redis.through,
    })
    const poller = await system.start('poller')
    const view = await system.subscribe({
      amqp: rabbit.through,
      pull: [poller.url],
      maxStaleness: 5000,
    })
    witness.bound(view, 5000)
    const told: string[] = []
    view.on('revoked', ({ match }) => told.push(String(match['sub'])))
    for (let round = 0; round < 5; round++) {
      const calls = Array.from({ length: 40 }, (_, i) =>
        witness.revoke(notifier, { sub: `r${round}-${i}` }),
      )
      rabbit.reset()
      redis.reset()
      await Promise.all(calls)
    }
    await witness.holds(poller, [view])
    expect(told.length).to.equal(new Set(told).size)
  })

  it('that loses all confirms makes the connection anew, and sends again what was not confirmed', async () => {
    const rabbit = await proxyTo(engineUrl('AMQP_URL'))
    const notifier = await system.start('notifier', { AMQP_URL: rabbit.through })
    const ear = await openHostile(engineUrl('AMQP_URL'), system.namespace)
    try {
      const view = await system.subscribe()
      await eventually(
        async () => (await call(notifier, system.apiKey, '/readyz')).body['status'] === 'ok',
      )
      rabbit.swallow('down')
      await witness.revoke(notifier, { sub: 'alice' })
      await dies(view, { sub: 'alice' })
      const lost = async (): Promise<boolean> =>
        ((await scrape(notifier.url, system.apiKey)).sum('knell_events_nacked_total') ?? 0) > 0
      await eventually(lost, { timeoutMs: 30_000, what: 'the time without a confirm to end' })
      await rabbit.resume()
      const copies = (): number => ear.heard.filter(({ key }) => key === 'default.revoked').length
      await eventually(() => copies() >= 2, { timeoutMs: 30_000, what: 'the second publish' })
      await witness.holds(notifier, [view])
    } finally {
      await ear.close()
    }
  })

  it('that accepts and is silent at the start keeps no process from starting', async () => {
    const redis = await proxyTo(engineUrl('REDIS_URL'))
    const rabbit = await proxyTo(engineUrl('AMQP_URL'))
    for (const proxy of [redis, rabbit]) proxy.stall()
    const notifier = await system.start(
      'notifier',
      { REDIS_URL: redis.through, AMQP_URL: rabbit.through },
      '/livez',
    )
    expect((await call(notifier, system.apiKey, '/readyz')).status).to.equal(503)
    const refused = await witness.revoke(notifier, { sub: 'early' })
    expect([refused?.status, refused?.body['code']]).to.deep.equal([503, 'store_unavailable'])
    for (const proxy of [redis, rabbit]) await proxy.resume()
    const ready = async () => (await call(notifier, system.apiKey, '/readyz')).body['status']
    await eventually(async () => (await ready()) === 'ok', { timeoutMs: 30_000 })
    await witness.revoke(notifier, { sub: 'alice' })
    await witness.holds(notifier)
  })
})
