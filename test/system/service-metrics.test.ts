import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Counter, Registry } from 'prom-client'
import { compiled } from '../../shared/cli/checkout.ts'
import { freePort } from '../../shared/cli/engines/free-port.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { createSubscriberMetrics } from '../../shared/metrics/index.ts'
import { metricsAt } from '../../shared/metrics/metrics-table.ts'
import { eventually } from '../support/eventually.ts'
import { exampleIn } from '../support/example-in.ts'
import { readScrape, scrape, type Scrape } from '../support/metrics.ts'
import { call, createSystem, dies, oldToken, type TestSystem } from '../support/system.ts'

describe('knell/metrics', function () {
  this.timeout(60_000)
  let system: TestSystem
  let notifier: KnellProcess

  before(async () => {
    system = createSystem()
    notifier = await system.start('notifier')
  })
  after(() => system.stop())

  const revoke = (sub: string) =>
    call(notifier, system.apiKey, '/v1/revocations', { match: { sub } })

  async function read(registry: Registry): Promise<Scrape> {
    return readScrape(200, registry.contentType, await registry.metrics())
  }

  it('names exactly the metrics of the table, and says how soon revocations reach the view', async () => {
    const orders = await system.subscribe({ service: 'orders' })
    const { registry, stop } = createSubscriberMetrics(orders)
    const before = await read(registry)
    expect([...before.names].sort()).to.deep.equal(metricsAt('service').sort())
    expect(before.value('knell_revocation_propagation_seconds_count')).to.equal(0)
    await eventually(() => orders.stats.push === 'up')
    await revoke('alice')
    await dies(orders, { sub: 'alice' })
    orders.check({ ...oldToken(), sub: 'bob' })
    const found = await read(registry)
    const service = { service: 'orders' }
    expect(found.value('knell_revocation_propagation_seconds_count')).to.equal(1)
    expect(found.value('knell_revocation_propagation_seconds_sum')).to.be.within(0, 5)
    expect(found.value('knell_subscriber_cache_entries', service)).to.equal(1)
    expect(found.value('knell_subscriber_position', { ...service, log: 'revocations' })).to.equal(1)
    expect(found.value('knell_subscriber_position', { ...service, log: 'expiries' })).to.equal(0)
    expect(found.value('knell_subscriber_staleness_seconds', service)).to.be.within(0, 10)
    expect(found.value('knell_subscriber_checks_total', { code: 'revoked' })).to.equal(1)
    expect(found.value('knell_subscriber_checks_total', { code: 'active' })).to.be.at.least(1)
    expect(found.value('knell_subscriber_push_up')).to.equal(1)
    expect(found.value('knell_subscriber_snapshots_total')).to.equal(1)
    expect(found.value('knell_subscriber_pulls_total')).to.be.at.least(0)
    expect(found.value('knell_subscriber_rejected_events_total', { reason: 'invalid' })).to.equal(0)
    stop()
    stop()
    expect(await registry.metrics()).to.equal('\n')
    expect(orders.listenerCount('applied')).to.equal(0)
  })

  it('counts what becomes of events in handlers, and how long they take', async () => {
    const billing = await system.subscribe({ service: 'billing' })
    const { registry, stop } = createSubscriberMetrics(billing)
    let fails = true
    await billing.handle(['revoked'], async ({ match }) => {
      if (match['sub'] !== 'flaky' || !fails) return
      fails = false
      await new Promise((resolve) => setTimeout(resolve, 30))
      throw new Error('not now')
    })
    await revoke('steady')
    await revoke('flaky')
    const found = await eventually(async () => {
      const scraped = await read(registry)
      expect(scraped.value('knell_handler_events_total', { outcome: 'handled' })).to.equal(2)
      return scraped
    })
    expect(found.value('knell_handler_events_total', { outcome: 'retried' })).to.equal(1)
    expect(found.value('knell_handler_events_total', { outcome: 'dead' })).to.equal(0)
    expect(found.value('knell_handler_seconds_count')).to.equal(3)
    expect(found.value('knell_handler_seconds_sum')).to.be.within(0.025, 5)
    stop()
  })

  it('shares a registry with another subscriber and with what else is in it, and goes without a trace', async () => {
    const registry = new Registry()
    const own = new Counter({
      name: 'orders_total',
      help: 'Of the service.',
      registers: [registry],
    })
    own.inc(7)
    const [one, two] = await Promise.all(
      ['one', 'two'].map((service) => system.subscribe({ service })),
    )
    if (one === undefined || two === undefined) throw new Error('no subscribers')
    const stops = [one, two].map((each) => createSubscriberMetrics(each, { registry }).stop)
    expect(() => createSubscriberMetrics(one, { registry })).to.throw(TypeError)
    await revoke('carol')
    await Promise.all([dies(one, { sub: 'carol' }), dies(two, { sub: 'carol' })])
    const shared = await read(registry)
    expect(shared.value('knell_revocation_propagation_seconds_count')).to.equal(2)
    expect(shared.value('knell_subscriber_snapshots_total')).to.equal(2)
    expect(shared.value('knell_subscriber_checks_total', { code: 'revoked' })).to.equal(2)
    expect(shared.sum('knell_subscriber_cache_entries')).to.be.greaterThan(1)
    stops[0]?.()
    await one.close()
    const left = await read(registry)
    // Counters never go back, though one that counted is measured no more.
    expect(left.value('knell_subscriber_checks_total', { code: 'revoked' })).to.equal(2)
    expect(left.value('knell_subscriber_cache_entries', { service: 'one' })).to.equal(undefined)
    stops[1]?.()
    expect((await read(registry)).names).to.deep.equal(['orders_total'])
    expect((await read(registry)).value('orders_total')).to.equal(7)
  })

  it('refuses a registry that has its names, and leaves that as it was', async () => {
    const registry = new Registry()
    const name = 'knell_subscriber_push_up'
    const taken = new Counter({ name, help: 'Somebody else’s.', registers: [registry] })
    taken.inc()
    const view = await system.subscribe()
    expect(() => createSubscriberMetrics(view, { registry })).to.throw(name)
    expect((await read(registry)).names).to.deep.equal([name])
    expect(view.listenerCount('ran')).to.equal(0)
    registry.clear()
    createSubscriberMetrics(view, { registry }).stop()
  })

  describe('the example of docs/metrics.md', () => {
    const folder = join(compiled, 'metrics-example')
    let child: ChildProcess | undefined

    before(() => mkdirSync(folder, { recursive: true }))
    after(() => {
      child?.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    })

    it('runs as it stands: is scraped, and ends on SIGTERM', async () => {
      const port = await freePort()
      const file = join(folder, 'example.mjs')
      writeFileSync(file, exampleIn('metrics', 'docs/metrics.md'))
      child = spawn(process.execPath, [file], {
        cwd: folder,
        env: {
          PATH: process.env['PATH'],
          AMQP_URL: system.env['AMQP_URL'],
          KNELL_URL: notifier.url,
          KNELL_API_KEY: system.apiKey,
          NAMESPACE: system.namespace,
          PORT: String(port),
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const lines: string[] = []
      if (child.stdout) createInterface({ input: child.stdout }).on('line', (l) => lines.push(l))
      const closed = once(child, 'close')
      await eventually(() => lines.includes('listening'), { what: 'the example to listen' })
      await revoke('dave')
      await eventually(async () => {
        const found = await scrape(`http://127.0.0.1:${port}`, 'none')
        expect(found.contentType).to.equal('text/plain; version=0.0.4; charset=utf-8')
        return found.value('knell_revocation_propagation_seconds_count') === 1
      })
      child.kill('SIGTERM')
      expect(await closed).to.deep.equal([0, null])
    })
  })
})
