import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { openHostile, type Hostile } from '../support/hostile.ts'
import { eventually } from '../support/eventually.ts'
import { scrape } from '../support/metrics.ts'
import { openProxyTo } from '../support/open-proxy-to.ts'
import { engineUrl } from '../support/store.ts'
import { call, createSystem, dies, now, type TestSystem } from '../support/system.ts'
import { createWitness, type Witness } from '../support/witness.ts'

type Proxied = Awaited<ReturnType<typeof openProxyTo>>

/** A process dies by SIGKILL at one exact point of its work, which a proxy holds it at. */
describe('a kill -9', function () {
  this.timeout(90_000)
  let system: TestSystem
  let witness: Witness
  let store: Proxied
  let broker: Proxied
  let ear: Hostile

  beforeEach(async () => {
    system = createSystem()
    witness = createWitness(system)
    store = await openProxyTo(engineUrl('REDIS_URL'))
    broker = await openProxyTo(engineUrl('AMQP_URL'))
    ear = await openHostile(engineUrl('AMQP_URL'), system.namespace)
  })

  afterEach(async () => {
    await system.stop()
    await ear.close()
    await store.close()
    await broker.close()
  })

  /** A process that reaches both engines only through the proxies. */
  async function startDoomed(kind: 'notifier' | 'poller'): Promise<KnellProcess> {
    const process = await system.start(kind, {
      REDIS_URL: store.through,
      AMQP_URL: broker.through,
    })
    await eventually(
      async () => (await call(process, system.apiKey, '/readyz')).body['status'] === 'ok',
      { what: 'both engines to be reached' },
    )
    return process
  }

  /** How many entries of revocations the feed has. */
  async function entries(process: KnellProcess): Promise<number> {
    const { body } = await call(process, system.apiKey, '/v1/feed')
    return (body['tails'] as { seq: number }[]).reduce((sum, { seq }) => sum + seq, 0)
  }

  const heard = (key: string) => ear.heard.filter((message) => message.key === key)

  it('of a notifier before the store write leaves no trace, and a retry makes it one revocation', async () => {
    const poller = await system.start('poller')
    const doomed = await startDoomed('notifier')
    const view = await system.subscribe({ pull: [poller.url] })
    const key = { key: 'once' }
    store.swallow('up')
    const asked = witness.revoke(doomed, { sub: 'alice' }, key)
    // Whoever is answered now was read after the call before.
    await call(doomed, system.apiKey, '/livez')
    await doomed.kill()
    expect(await asked, 'the caller is told nothing').to.equal(undefined)
    expect(await entries(poller)).to.equal(0)
    const other = await system.start('notifier')
    const again = await witness.revoke(other, { sub: 'alice' }, key)
    const repeated = await witness.revoke(other, { sub: 'alice' }, key)
    expect([again?.status, repeated?.body]).to.deep.equal([201, again?.body])
    expect(await entries(poller)).to.equal(1)
    await witness.holds(poller, [view])
  })

  it('of a notifier after the store write and before the answer leaves the revocation, which a retry finds', async () => {
    const poller = await system.start('poller')
    const doomed = await startDoomed('notifier')
    const view = await system.subscribe({ pull: [poller.url] })
    // What is read before a first commit is known then, so that the next call begins with the write.
    const once = { issuedBefore: now() }
    await witness.revoke(doomed, { sub: 'first' }, once)
    store.swallow('down')
    const asked = witness.revoke(doomed, { sub: 'second' }, once)
    await eventually(async () => (await entries(poller)) === 2, { what: 'the write' })
    await doomed.kill()
    expect(await asked, 'the caller is told nothing').to.equal(undefined)
    await dies(view, { sub: 'second' })
    const other = await system.start('notifier')
    const again = await witness.revoke(other, { sub: 'second' }, once)
    expect(again?.status).to.equal(201)
    expect(await entries(poller)).to.equal(2)
    await witness.holds(poller, [view])
  })

  it('of a notifier after the publish and before the confirm: it is published again, and applied once', async () => {
    const poller = await system.start('poller')
    const doomed = await startDoomed('notifier')
    const view = await system.subscribe({ pull: [poller.url] })
    const told: string[] = []
    view.on('revoked', ({ match }) => told.push(String(match['sub'])))
    broker.swallow('down')
    await witness.revoke(doomed, { sub: 'alice' })
    await eventually(() => heard('default.revoked').length === 1, { what: 'the publish' })
    await doomed.kill()
    await eventually(() => heard('default.revoked').length === 2, { what: 'the sweep' })
    const [first, second] = heard('default.revoked')
    expect(second?.body.equals(first?.body ?? Buffer.of())).to.equal(true)
    await witness.holds(poller, [view])
    expect(told).to.deep.equal(['alice'])
  })

  it('of a notifier after the confirm and before its note is cleared: likewise', async () => {
    const poller = await system.start('poller')
    const doomed = await startDoomed('notifier')
    const view = await system.subscribe({ pull: [poller.url] })
    const told: string[] = []
    view.on('revoked', ({ match }) => told.push(String(match['sub'])))
    broker.hold('down')
    await witness.revoke(doomed, { sub: 'alice' })
    await eventually(() => heard('default.revoked').length === 1, { what: 'the publish' })
    store.swallow('up')
    await broker.resume()
    const published = async (): Promise<boolean> =>
      ((await scrape(doomed.url, system.apiKey)).sum('knell_events_published_total') ?? 0) === 1
    await eventually(published, { what: 'the confirm', timeoutMs: 20_000 })
    await doomed.kill()
    await eventually(() => heard('default.revoked').length === 2, { what: 'the sweep' })
    await witness.holds(poller, [view])
    expect(told).to.deep.equal(['alice'])
  })

  it('of a poller in the midst of a sweep leaves the rest to the next one', async () => {
    const notifier = await startDoomed('notifier')
    const view = await system.subscribe()
    broker.stall()
    await Promise.all(
      Array.from({ length: 300 }, (_, i) => witness.revoke(notifier, { sub: `u${i}` })),
    )
    await notifier.kill()
    expect(heard('default.revoked')).to.have.length(0)
    await broker.resume()
    const doomed = await startDoomed('poller')
    broker.hold('down')
    await eventually(() => heard('default.revoked').length > 0, { what: 'the sweep to publish' })
    await doomed.kill()
    await broker.resume()
    const other = await system.start('poller')
    const total = await entries(other)
    const distinct = (): number =>
      new Set(heard('default.revoked').map(({ body }) => body.toString())).size
    await eventually(() => distinct() === total, { what: 'every entry to be sent' })
    await witness.holds(other, [view])
  })

  it('of a notifier in the midst of a drain leaves each expiry to be announced once', async () => {
    const doomed = await startDoomed('notifier')
    const heardBy = await system.subscribe()
    const told: string[] = []
    heardBy.on('expired', ({ jti }) => told.push(jti))
    const exp = now() + 8
    for (let part = 0; part < 4; part++) {
      const jtis = Array.from({ length: 5000 }, (_, i) => `t-${part}-${i}`)
      expect(await witness.register(doomed, jtis, exp)).to.equal(true)
    }
    // Each step of the drain takes as long as its way to the store and back; none begins after the first is heard of.
    store.slow({ latencyMs: 200 })
    heardBy.once('expired', () => store.stall())
    await eventually(() => told.length > 0, { timeoutMs: 20_000, intervalMs: 2 })
    await doomed.kill()
    expect(told.length, 'the drain is not done').to.be.below(20_000)
    const poller = await system.start('poller')
    const next = await system.start('notifier')
    const late = await system.subscribe()
    await eventually(() => new Set(told).size === 20_000, {
      timeoutMs: 20_000,
      what: '20,000 expiries',
    })
    await witness.revoke(next, { sub: 'marker' })
    await witness.holds(poller, [late, heardBy])
  })
})
