import { expect } from 'chai'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import type { QueueCount } from '../../shared/queues/queue-count.ts'
import type { QueueReport } from '../../shared/queues/queue-health.ts'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import { openAmqp } from '../support/amqp.ts'
import { engineUrl } from '../support/store.ts'
import { readSamples } from '../../shared/queues/samples.ts'
import { foreignMetrics } from '../support/foreign-metrics.ts'
import { eventually } from '../support/eventually.ts'
import { scrape } from '../support/metrics.ts'
import { startMonitoredRabbit } from '../support/monitored-rabbit.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

/** What `GET /v1/queues` of a process answers. */
async function queuesOf(
  process: { readonly url: string },
  { apiKey }: { readonly apiKey: string },
): Promise<QueueReport> {
  const { status, body } = await call(process, apiKey, '/v1/queues')
  expect(status).to.equal(200)
  return body as unknown as QueueReport
}

function reasonsOf({ parts }: QueueReport, name: string): readonly string[] {
  return parts.find(({ part }) => part === name)?.reasons ?? []
}

/** A user of RabbitMQ with a tag and no right, whose password is "secret". */
async function addUser(management: string, name: string, tags: string): Promise<void> {
  const none = { configure: '^$', write: '^$', read: '^$' }
  for (const [path, body] of [
    [`users/${name}`, { password: 'secret', tags }],
    [`permissions/%2f/${name}`, none],
  ] as const) {
    const { ok } = await fetch(`${management}/api/${path}`, {
      method: 'PUT',
      headers: {
        authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}`,
        'content-type': 'application/json',
        connection: 'close',
      },
      body: JSON.stringify(body),
    })
    expect(ok, path).to.equal(true)
  }
}

/** Asks until the answer is as it should be: sources tell some seconds late, and their answers are kept for ten. */
async function until(
  process: { readonly url: string },
  system: { readonly apiKey: string },
  accepts: (report: QueueReport) => boolean,
): Promise<QueueReport> {
  let last: QueueReport | undefined
  try {
    await eventually(
      async () => {
        last = await queuesOf(process, system)
        return accepts(last)
      },
      { timeoutMs: 60_000, intervalMs: 200 },
    )
  } catch (error) {
    throw new Error(`The last answer was ${JSON.stringify(last)}`, { cause: error })
  }
  return last as QueueReport
}

describe('GET /v1/queues', function () {
  this.timeout(120_000)

  describe('with the management API and the Prometheus plugin', () => {
    let rabbit: PrivateEngine
    let management: string
    let prometheus: string
    let system: TestSystem
    let notifier: KnellProcess
    let poller: KnellProcess

    before(async () => {
      const monitored = await startMonitoredRabbit()
      rabbit = monitored.rabbit
      prometheus = monitored.prometheus
      // What docs/security.md says that a user for this needs.
      await addUser(monitored.management, 'monitor', 'management')
      management = monitored.management.replace('://', '://monitor:secret@')
      system = createSystem({ AMQP_URL: rabbit.url })
      notifier = await system.start('notifier', { RABBITMQ_MANAGEMENT_URL: management })
      poller = await system.start('poller', { RABBITMQ_PROMETHEUS_URL: monitored.prometheus })
    })
    after(async () => {
      await system.stop()
      await rabbit.stop()
    })

    const revoke = async (sub: string): Promise<void> => {
      const { status } = await call(notifier, system.apiKey, '/v1/revocations', { match: { sub } })
      expect(status).to.equal(201)
    }

    it('says that all is well, and who told', async () => {
      for (const process of [notifier, poller]) {
        const report = await until(process, system, ({ verdict }) => verdict === 'ok')
        expect(report.reason).to.equal('Everything that can be seen is well.')
        expect(report.rabbitmq).to.include({ up: true, blocked: false })
        expect(report.rabbitmq.alarms).to.deep.equal([])
        expect(report.bullmq.map(({ queue }) => queue)).to.deep.equal([
          'knell-expiry',
          'knell-sweep',
        ])
        expect(report.feed.map(({ log }) => log)).to.deep.equal(['revocations', 'expiries'])
      }
      const { offered } = await queuesOf(notifier, system)
      expect(offered.management).to.deep.equal({ state: 'offered', reason: '' })
      expect(offered.prometheus).to.deep.equal({ state: 'not_offered', reason: 'not configured' })
    })

    it('tells of dead letters, and of a queue that nobody consumes, whoever tells', async () => {
      const subscriber = await system.subscribe({ service: 'orders' })
      await subscriber.handle(
        ['revoked'],
        () => {
          throw new Error('no')
        },
        { maxAttempts: 1 },
      )
      for (const sub of ['a', 'b', 'c']) await revoke(sub)
      const deadLetters = '3 dead letters of orders; replay or drop them'
      for (const process of [notifier, poller]) {
        const report = await until(process, system, (found) =>
          reasonsOf(found, 'queues').includes(deadLetters),
        )
        expect(report.verdict).to.equal('degraded')
        const own = report.queues.find(({ kind }) => kind === 'service') as QueueCount
        expect(own).to.include({ service: 'orders', consumers: 1 })
        expect(report.queues).to.have.length(7)
      }
      await subscriber.close()
      for (const sub of ['d', 'e']) await revoke(sub)
      const name = `${system.namespace}.service.orders`
      for (const [process, source] of [
        [notifier, 'management'],
        [poller, 'prometheus'],
      ] as const) {
        const report = await until(process, system, (found) =>
          reasonsOf(found, 'queues').includes(`no consumer on ${name} with 2 messages`),
        )
        const own = report.queues.find(({ kind }) => kind === 'service') as QueueCount
        expect(own).to.include({ name, messages: 2, ready: 2, consumers: 0, source })
      }
    })

    it('is what the gauges of a scrape say', async () => {
      const prefix = `${system.namespace}.service.orders`
      for (const process of [notifier, poller]) {
        const found = await scrape(process.url, system.apiKey)
        expect(found.value('knell_queue_messages', { queue: prefix })).to.equal(2)
        expect(found.value('knell_queue_messages', { queue: `${prefix}.dead` })).to.equal(3)
        expect(found.value('knell_queue_consumers', { queue: prefix })).to.equal(0)
        expect(found.value('knell_dead_letters', { service: 'orders' })).to.equal(3)
        const failed = { queue: 'knell-sweep', state: 'failed' }
        expect(found.value('bullmq_job_count', failed)).to.equal(0)
        const completed = { queue: 'knell-expiry', state: 'completed' }
        expect(found.value('bullmq_job_count', completed)).to.be.greaterThan(0)
      }
    })

    it('is beside a RabbitMQ that has the metrics which rules and dashboard take from it', async () => {
      const response = await fetch(`${prometheus}/metrics`, { headers: { connection: 'close' } })
      const found = new Set(readSamples(await response.text()).map(({ name }) => name))
      const wanted = Object.entries(foreignMetrics).flatMap(([name, by]) =>
        by === 'rabbitmq' ? [name] : [],
      )
      expect([...found]).to.include.members(wanted)
    })

    it('is for keys of all tenants that may read what operators read, and tells them of a refused login', async () => {
      const wrong = management.replace('secret', 'wrong')
      const keys = [
        'one=one-tenant-secret-01:ops:read@default',
        'feed=feed-reader-secret:feed:read',
        'all=all-tenants-secret-0:ops:read',
      ].join(' ')
      const other = await system.start('poller', { API_KEYS: keys, RABBITMQ_MANAGEMENT_URL: wrong })
      const reason = 'it refuses the login (401)'
      const report = await until(other, { apiKey: 'all-tenants-secret-0' }, ({ queues }) => {
        return queues.length === 7
      })
      expect(report.offered.management).to.deep.equal({ state: 'failed', reason })
      expect(report.verdict).to.equal('degraded')
      const refused = `RabbitMQ’s management cannot be read: ${reason}`
      expect(reasonsOf(report, 'rabbitmq')).to.deep.equal([refused])
      expect(new Set(report.queues.map(({ source }) => source))).to.deep.equal(new Set(['amqp']))
      for (const secret of ['one-tenant-secret-01', 'feed-reader-secret']) {
        const { status, body } = await call(other, secret, '/v1/queues')
        expect(status).to.equal(403)
        expect(body).to.include({ code: 'forbidden' })
      }
    })
  })

  describe('without any plug-in', () => {
    let system: TestSystem
    let notifier: KnellProcess
    let subscriber: Subscriber

    before(async () => {
      system = createSystem()
      notifier = await system.start('notifier')
      await system.start('poller')
    })
    after(() => system.stop())

    it('asks RabbitMQ itself, and tells of alarms no more than that they are not offered', async () => {
      subscriber = await system.subscribe({ service: 'mailer' })
      await subscriber.handle(['revoked'], () => {})
      const name = `${system.namespace}.service.mailer`
      const report = await until(notifier, system, ({ queues, verdict }) => {
        return queues.length === 7 && verdict === 'ok'
      })
      expect(report.queues.find((queue) => queue.name === name)).to.deep.equal({
        name,
        service: 'mailer',
        kind: 'service',
        messages: 0,
        ready: 0,
        consumers: 1,
        source: 'amqp',
      })
      for (const offer of Object.values(report.offered)) {
        expect(offer).to.deep.equal({ state: 'not_offered', reason: 'not configured' })
      }
      expect(report.rabbitmq).to.include({ up: true, blocked: false })
      expect(report.rabbitmq).to.not.have.property('alarms')
    })

    it('misses a queue that somebody has deleted', async () => {
      await subscriber.close()
      const amqp = await openAmqp(engineUrl('AMQP_URL'))
      const name = `${system.namespace}.service.mailer`
      await amqp.use((channel) => channel.deleteQueue(name))
      await amqp.close()
      const gone = `the queue ${name} is gone; an instance with handlers makes it anew`
      const report = await until(notifier, system, ({ reason }) => reason === gone)
      expect(report.rabbitmq.missing).to.deep.equal([name])
    })
  })

  describe('of a RabbitMQ that has an alarm, and a store that is lost', () => {
    let rabbit: PrivateEngine
    let redis: PrivateEngine
    let system: TestSystem
    let notifier: KnellProcess

    before(async () => {
      redis = await startRedis()
      const memory = '-rabbit vm_memory_high_watermark 0.00001'
      const monitored = await startMonitoredRabbit([memory])
      rabbit = monitored.rabbit
      system = createSystem({ AMQP_URL: rabbit.url, REDIS_URL: redis.url })
      notifier = await system.start('notifier', { RABBITMQ_MANAGEMENT_URL: monitored.management })
      await system.start('poller', { RABBITMQ_PROMETHEUS_URL: monitored.prometheus })
    })
    after(async () => {
      await system.stop()
      await rabbit.stop()
      await redis.stop()
    })

    it('says since when entries wait, and why', async () => {
      const match = { sub: 'somebody' }
      const { status } = await call(notifier, system.apiKey, '/v1/revocations', { match })
      expect(status).to.equal(201)
      const waits = /^the oldest unsent entry of revocations waits for 1\d s: RabbitMQ is blocked$/
      const report = await until(notifier, system, (found) =>
        reasonsOf(found, 'relay').some((reason) => waits.test(reason)),
      )
      expect(report.verdict).to.equal('degraded')
      expect(reasonsOf(report, 'rabbitmq').join('\n')).to.match(
        /RabbitMQ has an alarm \(memory on .+\): it takes no messages/,
      )
      const [revocations] = report.feed
      expect(revocations).to.include({ log: 'revocations', tail: 1, unsent: 1, mostUnsent: 1 })
      expect(revocations?.oldestUnsentMs).to.be.within(10_000, 20_000)
    })

    it('hears of the alarm from the Prometheus plugin as well', async () => {
      const [, poller] = system.urls()
      const report = await until({ url: String(poller) }, system, ({ rabbitmq }) =>
        Boolean(rabbitmq.alarms?.includes('memory')),
      )
      expect(report.offered.alarms).to.deep.equal({ state: 'offered', reason: '' })
    })

    it('is failing without its store, and answers all the same', async () => {
      await redis.signal('SIGKILL')
      const report = await until(notifier, system, ({ verdict }) => verdict === 'failing')
      expect(report.reason).to.match(/^the store does not answer: /)
      // Which looks once a second.
      await eventually(async () => {
        const { status, body } = await call(notifier, system.apiKey, '/readyz')
        return status === 503 && body['status'] === 'failing'
      })
    })
  })
})
