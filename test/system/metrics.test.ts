import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { metricsAt } from '../../shared/metrics/metrics-table.ts'
import { openProxy, type Proxy } from '../../shared/testing/tcp-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { scrape, type Scrape } from '../support/metrics.ts'
import { engineUrl } from '../support/store.ts'
import { call, createSystem, dies, now, type TestSystem } from '../support/system.ts'

async function proxyOf(name: 'AMQP_URL' | 'REDIS_URL'): Promise<{ proxy: Proxy; url: string }> {
  const target = new URL(engineUrl(name))
  const proxy = await openProxy({ target: { host: target.hostname, port: Number(target.port) } })
  return { proxy, url: proxy.url(target.href) }
}

describe('GET /metrics', function () {
  this.timeout(60_000)
  const narrow = 'narrow-secret-0123456'
  const ofTenant = 'tenant-secret-0123456'
  let system: TestSystem
  let notifier: KnellProcess
  let poller: KnellProcess
  let amqp: { proxy: Proxy; url: string }
  let redis: { proxy: Proxy; url: string }

  before(async () => {
    system = createSystem({ SWEEP_GRACE: '5s' })
    const API_KEYS = `${system.env['API_KEYS']} narrow=${narrow}:feed:read tenant=${ofTenant}:*@default`
    amqp = await proxyOf('AMQP_URL')
    redis = await proxyOf('REDIS_URL')
    notifier = await system.start('notifier', {
      API_KEYS,
      AMQP_URL: amqp.url,
      REDIS_URL: redis.url,
    })
    poller = await system.start('poller', { API_KEYS })
  })
  after(async () => {
    await system.stop()
    await amqp.proxy.close()
    await redis.proxy.close()
  })

  const look = (process: KnellProcess): Promise<Scrape> => scrape(process.url, system.apiKey)
  const knells = (found: Scrape): string[] =>
    found.names.filter((name) => /^(knell|bullmq)_/.test(name)).sort()

  it('is for keys of all tenants that may see operations', async () => {
    const answers = await Promise.all(
      [narrow, ofTenant, 'nobody'].map((key) => scrape(notifier.url, key)),
    )
    expect(answers.map(({ status }) => status)).to.deep.equal([403, 403, 401])
    const found = await look(notifier)
    expect(found.status).to.equal(200)
    expect(found.contentType).to.equal('text/plain; version=0.0.4; charset=utf-8')
  })

  it('names exactly the metrics of the table, on either process, and those of Node', async () => {
    expect(knells(await look(notifier))).to.deep.equal(metricsAt('notifier').sort())
    expect(knells(await look(poller))).to.deep.equal(metricsAt('poller').sort())
    expect((await look(poller)).names).to.include.members([
      'process_resident_memory_bytes',
      'nodejs_eventloop_lag_seconds',
    ])
  })

  it('counts a revocation on its way: accepted, published, confirmed, in the feed, applied', async () => {
    const view = await system.subscribe({ service: 'orders' })
    const before = await look(notifier)
    const body = { match: { sub: 'alice' }, reason: 'logout' }
    expect((await call(notifier, system.apiKey, '/v1/revocations', body)).status).to.equal(201)
    await dies(view, { sub: 'alice' })
    const found = await eventually(async () => {
      const scraped = await look(notifier)
      expect(scraped.value('knell_feed_tail', { log: 'revocations' })).to.equal(1)
      expect(scraped.value('knell_rules_live')).to.equal(1)
      return scraped
    })
    const kind = { kind: 'revoked' }
    expect(before.value('knell_revocations_accepted_total', kind)).to.equal(0)
    expect(found.value('knell_revocations_accepted_total', kind)).to.equal(1)
    expect(found.value('knell_events_published_total', { type: 'knell.revoked' })).to.equal(1)
    expect(found.value('knell_publish_confirm_seconds_count')).to.equal(1)
    expect(found.value('knell_publish_confirm_seconds_sum')).to.be.within(0, 5)
    const route = '/v1/revocations'
    expect(found.value('knell_http_requests_total', { route, status: '201' })).to.equal(1)
    expect(found.value('knell_http_request_seconds_count', { route })).to.equal(1)
    await eventually(async () => {
      const scraped = await look(poller)
      const service = { service: 'orders' }
      expect(scraped.value('knell_subscriber_instances', { ...service, state: 'ready' })).to.equal(
        1,
      )
      expect(scraped.value('knell_subscriber_lag_entries', service)).to.equal(0)
      expect(scraped.value('knell_subscriber_staleness_seconds', service)).to.be.within(0, 10)
      return true
    })
  })

  it('counts tokens: registered, refused, waiting, and expired, which the store counts', async () => {
    const before = await look(poller)
    const claims = (jti: string, exp: number) => ({ claims: { jti, sub: 's', exp } })
    const body = [
      claims('soon-1', now() + 2),
      claims('soon-2', now() + 2),
      claims('late', now() + 3600),
      claims('gone', now() - 10),
    ]
    const { body: answer } = await call(notifier, system.apiKey, '/v1/tokens', body)
    expect(answer['registered']).to.equal(3)
    const taken = await look(notifier)
    expect(taken.value('knell_tokens_registered_total')).to.equal(3)
    expect(taken.value('knell_tokens_rejected_total')).to.equal(1)
    await eventually(
      async () => {
        const found = await look(poller)
        expect(found.value('knell_tokens_expired_total')).to.equal(
          2 + (before.value('knell_tokens_expired_total') ?? NaN),
        )
        expect(found.value('knell_tokens_waiting')).to.equal(1)
        return true
      },
      { timeoutMs: 15_000 },
    )
    const published = await look(notifier)
    expect(published.value('knell_events_published_total', { type: 'knell.expired' })).to.be.within(
      1,
      2,
    )
    // Nobody listens to expiries here.
    const returned = published.value('knell_events_returned_total', { type: 'knell.expired' })
    expect(returned).to.be.within(1, 2)
  })

  it('has the route’s pattern and never the path, and one name for what is no route', async () => {
    await call(notifier, system.apiKey, '/v1/secret-of-alice')
    const found = await look(notifier)
    expect(found.value('knell_http_requests_total', { route: 'none', status: '404' })).to.equal(1)
    expect(found.text).to.not.include('alice')
  })

  it('says how Redis keeps what it acknowledged', async () => {
    const found = await look(notifier)
    expect(found.value('knell_store_up')).to.equal(1)
    expect(found.value('knell_store_eviction_policy_ok')).to.equal(1)
    expect(found.value('knell_store_persistence_ok')).to.be.within(0, 1)
    expect(found.value('knell_store_memory_bytes')).to.be.greaterThan(500_000)
    expect(found.value('knell_store_max_memory_bytes')).to.be.at.least(0)
  })

  it('counts sweeps, and when the last one went well', async () => {
    await eventually(
      async () => {
        const found = await look(poller)
        expect(found.value('knell_sweep_duration_seconds_count')).to.be.greaterThan(0)
        const at = found.value('knell_sweep_last_success_timestamp_seconds')
        expect(at).to.be.within(now() - 20, now() + 1)
        return true
      },
      { timeoutMs: 15_000 },
    )
  })

  it('answers while RabbitMQ is away, and shows what waits for it', async () => {
    await amqp.proxy.cut()
    await eventually(async () => (await look(notifier)).value('knell_broker_up') === 0)
    await call(notifier, system.apiKey, '/v1/revocations', { match: { sub: 'bob' } })
    await eventually(async () => {
      const waiting = await look(notifier)
      expect(waiting.value('knell_store_up')).to.equal(1)
      expect(waiting.value('knell_outbox_depth', { log: 'revocations' })).to.equal(1)
      const age = waiting.value('knell_outbox_oldest_age_seconds', { log: 'revocations' })
      expect(age).to.be.within(0.001, 10)
      return true
    })
    // The poller, whose RabbitMQ is there, finishes what this one cannot, after its grace.
    await eventually(
      async () => {
        const found = await look(poller)
        return found.value('knell_sweep_recovered_total', { what: 'entries' }) === 1
      },
      { timeoutMs: 20_000 },
    )
    await amqp.proxy.resume()
    await eventually(async () => (await look(notifier)).value('knell_broker_up') === 1, {
      timeoutMs: 20_000,
    })
  })

  it('answers, soon, while Redis is frozen: what cannot be known is absent', async () => {
    redis.proxy.stall()
    await eventually(
      async () => {
        const started = performance.now()
        const found = await look(notifier)
        expect(performance.now() - started).to.be.lessThan(5000)
        expect(found.value('knell_store_up')).to.equal(0)
        expect(found.value('knell_broker_up')).to.equal(1)
        expect(found.sum('knell_feed_tail')).to.equal(undefined)
        expect(found.value('knell_tokens_expired_total')).to.equal(undefined)
        expect(found.sum('knell_subscriber_instances')).to.equal(undefined)
        return true
      },
      { timeoutMs: 20_000 },
    )
    await redis.proxy.resume()
    await eventually(async () => (await look(notifier)).value('knell_store_up') === 1, {
      timeoutMs: 20_000,
    })
  })
})
