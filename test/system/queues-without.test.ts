import { expect } from 'chai'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { openAmqp } from '../support/amqp.ts'
import { eventually } from '../support/eventually.ts'
import { startMonitoredRabbit } from '../support/monitored-rabbit.ts'
import { reasonsOf, untilQueues } from '../support/queue-report.ts'
import { engineUrl } from '../support/store.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

describe('GET /v1/queues', function () {
  this.timeout(120_000)

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
      const report = await untilQueues(notifier, system, ({ queues, verdict }) => {
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
      const report = await untilQueues(notifier, system, ({ reason }) => reason === gone)
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
      const report = await untilQueues(notifier, system, (found) =>
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
      const report = await untilQueues({ url: String(poller) }, system, ({ rabbitmq }) =>
        Boolean(rabbitmq.alarms?.includes('memory')),
      )
      expect(report.offered.alarms).to.deep.equal({ state: 'offered', reason: '' })
    })

    it('is failing without its store, and answers all the same', async () => {
      await redis.signal('SIGKILL')
      // What was read just before is known for two seconds more.
      const report = await untilQueues(notifier, system, ({ verdict, bullmq }) => {
        return verdict === 'failing' && bullmq.length === 0
      })
      expect(report.reason).to.match(/^the store does not answer: /)
      const verdicts = Object.fromEntries(report.parts.map((part) => [part.part, part.verdict]))
      expect(verdicts).to.include({ queues: 'unknown', bullmq: 'unknown', relay: 'unknown' })
      expect(report.sweep?.agoMs).to.be.a('number')
      expect(reasonsOf(report, 'sweep')[0]).to.match(
        /the last sweep that is known of was \d+ s ago/,
      )
      for (const path of ['/v1/sweeps', '/v1/subscribers', '/v1/due', '/v1/feed']) {
        const { status, body } = await call(notifier, system.apiKey, path)
        expect([path, status, body['code']]).to.deep.equal([path, 503, 'store_unavailable'])
      }
      const asked = await call(notifier, system.apiKey, '/v1/sweeps', {})
      expect(asked.body['code']).to.equal('store_unavailable')
      // Which looks once a second.
      await eventually(async () => {
        const { status, body } = await call(notifier, system.apiKey, '/readyz')
        return status === 503 && body['status'] === 'failing'
      })
    })
  })
})
