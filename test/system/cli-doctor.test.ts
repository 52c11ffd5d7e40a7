import { expect } from 'chai'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { serviceTopologyOf } from '../../shared/broker/service-topology.ts'
import type { Level, NamedFinding } from '../../shared/cli/doctor/finding.ts'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { namesOf } from '../../shared/domain/names.ts'
import { openAmqp } from '../support/amqp.ts'
import { definitionsArgument } from '../support/definitions.ts'
import { startMonitoredRabbit } from '../support/monitored-rabbit.ts'
import { runKnell } from '../support/run-knell.ts'
import { freshNamespace } from '../support/store.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

interface Diagnosis {
  readonly code: number | null
  readonly of: (part: NamedFinding['part'], check: string) => NamedFinding | undefined
  readonly levels: Readonly<Record<Level, number>>
}

describe('knell doctor', function () {
  this.timeout(90_000)
  const namespace = freshNamespace()
  let rabbit: PrivateEngine
  let management: string
  let system: TestSystem
  let notifier: KnellProcess

  before(async () => {
    const printed = await runKnell(['topology', 'permissions', '--json', '--service', 'orders'], {
      env: { NAMESPACE: namespace },
    })
    const users = [`${namespace}.deploy`, namespace, `${namespace}.service.orders`]
    const definitions = await definitionsArgument([], {
      users,
      printed: JSON.parse(printed.out) as Record<string, object[]>,
    })
    const started = await startMonitoredRabbit([definitions])
    rabbit = started.rabbit
    management = started.management
    system = createSystem({ AMQP_URL: rabbit.url, NAMESPACE: namespace })
    notifier = await system.start('notifier')
  })
  after(async () => {
    await system.stop()
    await rabbit.stop()
  })

  function urlOf(user: string): string {
    const url = new URL(rabbit.url)
    url.username = user
    url.password = user
    return url.toString()
  }

  async function diagnose(
    env: Readonly<Record<string, string>>,
    ...args: readonly string[]
  ): Promise<Diagnosis> {
    const ran = await runKnell(['doctor', '--json', ...args], {
      env: {
        REDIS_URL: String(system.env['REDIS_URL']),
        AMQP_URL: rabbit.url,
        NAMESPACE: namespace,
        KNELL_URL: notifier.url,
        KNELL_API_KEY: system.apiKey,
        ...env,
      },
    })
    expect(ran.err).to.equal('')
    const { findings } = JSON.parse(ran.out) as { findings: NamedFinding[] }
    const count = (level: Level): number => findings.filter((one) => one.level === level).length
    for (const { level, fix } of findings) expect(fix !== undefined).to.equal(level !== 'ok')
    return {
      code: ran.code,
      levels: { ok: count('ok'), warning: count('warning'), failure: count('failure') },
      of: (part, check) => findings.find((one) => one.part === part && one.check === check),
    }
  }

  it('finds nothing to mend but what it may warn of, and warnings fail only where told to', async () => {
    const found = await diagnose({})
    expect(found.levels.failure).to.equal(0)
    expect(found.code).to.equal(0)
    expect(found.of('API', 'notifier: version')?.found).to.match(/^Knell \d/)
    expect(found.of('API', 'notifier: API key')?.found).to.include('revocations:mass')
    // The private Redis has no maxmemory.
    expect(found.of('Redis', 'memory')?.level).to.equal('warning')
    expect((await diagnose({}, '--strict')).code).to.equal(1)
  })

  it('finds what the user of notifiers and pollers may do enough, and that of a service not', async () => {
    const url = new URL(management)
    url.username = 'guest'
    url.password = 'guest'
    const more = { RABBITMQ_MANAGEMENT_URL: url.toString() }
    const own = await diagnose({ ...more, AMQP_URL: urlOf(namespace) })
    const found = own.of('RabbitMQ', 'permissions')
    expect(found).to.include({ level: 'ok' })
    expect(found?.found).to.not.include('declare').and.not.include('not told')
    expect(own.of('RabbitMQ', 'exchanges')).to.include({ level: 'ok' })
    expect(own.of('RabbitMQ', 'policies')).to.include({ level: 'ok', found: '3 policies' })
    const service = await diagnose({ ...more, AMQP_URL: urlOf(`${namespace}.service.orders`) })
    expect(service.code).to.equal(1)
    const lacks = service.of('RabbitMQ', 'permissions')
    expect(lacks?.level).to.equal('failure')
    expect(lacks?.found).to.include(`write ${namespace}.revocations`)
    expect(lacks?.fix).to.include('knell topology permissions')
  })

  it('names the queue that differs, and those that are missing', async () => {
    const client = await openAmqp(rabbit.url)
    const names = namesOf(namespace)
    const topology = serviceTopologyOf(names, 'late', { tenants: ['default'], kinds: ['revoked'] })
    try {
      const missing = await diagnose({}, '--service', 'late')
      expect(missing.of('RabbitMQ', 'queues')?.found).to.match(/^missing: queue .*service\.late/)
      await client.use(async (channel) => {
        for (const { name, arguments: args } of topology.queues) {
          const other = name.endsWith('.retry.2') ? { ...args, 'x-message-ttl': 5 } : args
          await channel.assertQueue(name, { durable: true, arguments: other })
        }
      })
      const found = (await diagnose({}, '--service', 'late')).of('RabbitMQ', 'queues')
      expect(found?.level).to.equal('failure')
      expect(found?.found).to.include('service.late.retry.2').and.include('x-message-ttl')
      expect(found?.found).to.not.include('retry.3')
    } finally {
      await client.close()
    }
  })

  it('fails a Redis that loses or evicts, and a store of other shards', async () => {
    const redis = await startRedis({
      args: ['--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru', '--maxmemory', '100mb'],
    })
    try {
      const found = await diagnose({ REDIS_URL: redis.url })
      expect(found.code).to.equal(1)
      expect(found.of('Redis', 'persistence')?.fix).to.equal('Set appendonly yes.')
      expect(found.of('Redis', 'eviction')?.found).to.match(/^allkeys-lru/)
      expect(found.of('Redis', 'memory')).to.include({ level: 'ok' })
      expect(found.of('Redis', 'shards')).to.include({ level: 'ok', found: 'a new store' })
    } finally {
      await redis.stop()
    }
    const other = await diagnose({ SHARDS: '8' })
    expect(other.of('Redis', 'shards')?.fix).to.include('SHARDS=4')
  })

  it('tells a wrong key, and one that lacks scopes', async () => {
    const wrong = await diagnose({ KNELL_API_KEY: 'wrong' })
    expect(wrong.of('API', 'notifier: API key')).to.include({
      level: 'failure',
      found: 'it is wrong',
    })
    const keys = { API_KEYS: 'reader=reader0123456789:feed:read' }
    const other = await system.start('notifier', keys)
    const env = { KNELL_URL: other.url, KNELL_API_KEY: 'reader0123456789' }
    const found = (await diagnose(env)).of('API', 'notifier: API key')
    expect(found?.found).to.match(
      /^it has feed:read; not tokens:write or tokens:claims .*revocations:mass/,
    )
    expect(found?.level).to.equal('ok')
  })

  it('reads the key without a trace in the audit trail or in the count of refused tokens', async () => {
    const keys = 'all=all0123456789012:* reader=reader0123456789:feed:read'
    const other = await system.start('notifier', { API_KEYS: keys })
    for (const key of ['all0123456789012', 'reader0123456789']) {
      await diagnose({ KNELL_URL: other.url, KNELL_API_KEY: key })
    }
    const { body } = await call(other, 'all0123456789012', '/v1/audit?action=register')
    expect(body['audit']).to.deep.equal([])
    const headers = { authorization: 'Bearer all0123456789012', connection: 'close' }
    const metrics = await (await fetch(`${other.url}/metrics`, { headers })).text()
    expect(metrics).to.match(/^knell_tokens_rejected_total(\{.*\})? 0$/m)
  })

  it('waits five seconds for what does not answer, and says nothing of alarms it cannot know', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}).resume())
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const cut = await system.start('notifier', { AMQP_URL: 'amqp://127.0.0.1:1' })
    const ready = performance.now()
    const found = await diagnose({ REDIS_URL: `redis://127.0.0.1:${port}`, KNELL_URL: cut.url })
    const tookMs = performance.now() - ready
    silent.close()
    expect(found.of('Redis', 'reachable')?.level).to.equal('failure')
    expect(tookMs).to.be.below(12_000)
    expect(found.of('API', 'notifier: alarms')).to.include({ level: 'warning' })
    expect(found.of('API', 'notifier: alarms')?.found).to.not.include('takes messages')
  })

  it('says what does not answer at all, and what it was not told of', async () => {
    const nowhere = { KNELL_URL: 'http://127.0.0.1:1', AMQP_URL: 'amqp://127.0.0.1:1' }
    const away = await diagnose({ ...nowhere, REDIS_URL: 'redis://127.0.0.1:1' })
    expect(away.code).to.equal(1)
    for (const part of ['Redis', 'RabbitMQ'] as const) {
      expect(away.of(part, 'reachable')?.level, part).to.equal('failure')
    }
    const there = away.of('API', 'notifier: reachable')
    expect(there?.level).to.equal('failure')
    expect(there?.fix).to.equal('Start the notifier, or correct --url or KNELL_URL.')
    expect(away.of('API', 'notifier: version'), 'told once').to.equal(undefined)
    expect(away.of('Redis', 'reachable')?.fix).to.equal('Start Redis, or correct REDIS_URL.')
    const poller = await diagnose({}, '--poller', 'http://127.0.0.1:1')
    const found = poller.of('API', 'poller: reachable')
    expect(found?.found).to.include('Is a poller there?').and.include('--poller')
    expect(found?.fix).to.include('--poller')
    const untold = await diagnose({ AMQP_URL: '', REDIS_URL: '' })
    expect(untold.code).to.equal(0)
    expect(untold.of('Redis', 'reachable')?.fix).to.equal('Set REDIS_URL.')
    expect(untold.of('RabbitMQ', 'reachable')?.fix).to.equal('Set AMQP_URL.')
  })
})
