import { expect } from 'chai'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { QueueCount } from '../../shared/queues/queue-count.ts'
import type { QueueReport } from '../../shared/queues/queue-health.ts'
import { eventually } from '../support/eventually.ts'
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
    let system: TestSystem
    let notifier: KnellProcess
    let poller: KnellProcess

    before(async () => {
      const monitored = await startMonitoredRabbit()
      rabbit = monitored.rabbit
      system = createSystem({ AMQP_URL: rabbit.url })
      notifier = await system.start('notifier', { RABBITMQ_MANAGEMENT_URL: monitored.management })
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

    it('is for keys of all tenants that may read what operators read', async () => {
      const keys = [
        'one=one-tenant-secret-01:ops:read@default',
        'feed=feed-reader-secret:feed:read',
      ].join(' ')
      const other = await system.start('poller', { API_KEYS: keys })
      for (const secret of ['one-tenant-secret-01', 'feed-reader-secret']) {
        const { status, body } = await call(other, secret, '/v1/queues')
        expect(status).to.equal(403)
        expect(body).to.include({ code: 'forbidden' })
      }
    })
  })
})
