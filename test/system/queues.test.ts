import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { env } from 'node:process'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { QueueCount } from '../../shared/queues/queue-count.ts'
import { readSamples } from '../../shared/queues/samples.ts'
import { blocksIn } from '../support/doc-blocks.ts'
import { foreignMetrics } from '../support/foreign-metrics.ts'
import { scrape } from '../support/metrics.ts'
import { startMonitoredRabbit } from '../support/monitored-rabbit.ts'
import { queuesOf, reasonsOf, untilQueues } from '../support/queue-report.ts'
import { knellFile, runProgram } from '../support/run-knell.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

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
        const report = await untilQueues(process, system, ({ verdict }) => verdict === 'ok')
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
        const report = await untilQueues(process, system, (found) =>
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
        const report = await untilQueues(process, system, (found) =>
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

    it('is what the first minute of the runbooks shows', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'knell-runbooks-'))
      writeFileSync(join(folder, 'key'), system.apiKey)
      writeFileSync(join(folder, 'knell'), `#!/bin/sh\nexec node ${knellFile} "$@"\n`, {
        mode: 0o755,
      })
      const here = blocksIn('docs/runbooks.md')
        .map(({ text }) => text)
        .join('\n')
        .replaceAll('https://knell.example', notifier.url)
        .replaceAll('/run/secrets/knell-ops', join(folder, 'key'))
      expect(here).to.include('knell doctor').and.include('curl')
      const PATH = `${folder}:${env['PATH']}`
      const { out, err } = await runProgram('sh', ['-c', here], { env: { ...system.env, PATH } })
      expect(err).to.equal('')
      // Of knell queues, and of the same call by curl.
      expect(out.split('no consumer on').length - 1, out).to.be.at.least(2)
      expect(out)
        .to.match(/eviction/)
        .and.include('"subscribers"')
        .and.include('"status":"ok"')
      rmSync(folder, { recursive: true })
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
      const report = await untilQueues(other, { apiKey: 'all-tenants-secret-0' }, ({ queues }) => {
        return queues.length === 7
      })
      expect(report.offered.management).to.deep.equal({ state: 'failed', reason })
      expect(report.verdict).to.equal('degraded')
      const refused = `RabbitMQ’s management cannot be read: ${reason}`
      expect(reasonsOf(report, 'rabbitmq')).to.include(refused)
      expect(new Set(report.queues.map(({ source }) => source))).to.deep.equal(new Set(['amqp']))
      for (const secret of ['one-tenant-secret-01', 'feed-reader-secret']) {
        const { status, body } = await call(other, secret, '/v1/queues')
        expect(status).to.equal(403)
        expect(body).to.include({ code: 'forbidden' })
      }
    })
  })
})
