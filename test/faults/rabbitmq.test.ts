import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { startRabbit, type PrivateRabbit } from '../../shared/cli/engines/private-rabbit.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { openAmqp } from '../support/amqp.ts'
import { eventually } from '../support/eventually.ts'
import { startLoad } from '../support/load.ts'
import { scrape } from '../support/metrics.ts'
import { call, createSystem, dies, type TestSystem } from '../support/system.ts'
import { createWitness, type Witness } from '../support/witness.ts'

/** What happens to RabbitMQ while revocations go on. */
describe('RabbitMQ', function () {
  this.timeout(120_000)
  let rabbit: PrivateRabbit
  let system: TestSystem
  let witness: Witness
  let notifier: KnellProcess
  let view: Subscriber

  before(async () => {
    rabbit = await startRabbit()
  })
  after(() => rabbit.stop())

  beforeEach(async () => {
    // A connection that says nothing for twice this long is given up.
    system = createSystem({ AMQP_URL: `${rabbit.url}?heartbeat=2` })
    witness = createWitness(system)
    notifier = await system.start('notifier')
    view = await system.subscribe({ maxStaleness: 5000 })
    witness.bound(view, 5000)
    await pushed()
  })

  afterEach(() => system.stop())

  async function pushed(): Promise<void> {
    const timeoutMs = 30_000
    await eventually(() => view.stats.push === 'up', { what: 'the push path', timeoutMs })
    await eventually(async () => (await health())['status'] === 'ok', { what: 'ready', timeoutMs })
  }

  const health = async () => (await call(notifier, system.apiKey, '/readyz')).body

  async function drained(): Promise<void> {
    const depth = async () =>
      (await scrape(notifier.url, system.apiKey)).value('knell_outbox_depth', {
        log: 'revocations',
      })
    await eventually(async () => (await depth()) === 0, {
      timeoutMs: 30_000,
      what: 'nothing to be left unsent',
    })
  }

  /** The answer must not wait for the broker, whatever state that is in. */
  async function revokeQuickly(sub: string): Promise<void> {
    const started = performance.now()
    expect((await witness.revoke(notifier, { sub }))?.status).to.equal(201)
    expect(performance.now() - started).to.be.below(5000)
    await dies(view, { sub })
  }

  it('frozen is found out by its silence; what was revoked meanwhile is pulled, and sent when it goes on', async () => {
    await rabbit.signal('SIGSTOP')
    try {
      await revokeQuickly('frozen')
      await eventually(() => view.stats.push === 'down', { timeoutMs: 20_000, what: 'the loss' })
      await revokeQuickly('away')
    } finally {
      await rabbit.signal('SIGCONT')
    }
    await pushed()
    await drained()
    await witness.holds(notifier, [view])
  })

  for (const [what, raise, clear] of [
    [
      'memory',
      ['set_vm_memory_high_watermark', 'absolute', '1MB'],
      ['set_vm_memory_high_watermark', '0.4'],
    ],
    ['disk', ['set_disk_free_limit', '9000GB'], ['set_disk_free_limit', '1MB']],
  ] as const) {
    it(`with a ${what} alarm is told as blocked, delays no revocation, and gets all of it afterwards`, async () => {
      await rabbit.control(...raise)
      try {
        await witness.revoke(notifier, { sub: 'alarming' })
        await eventually(async () => (await health())['status'] === 'degraded')
        expect((await health())['broker']).to.include({ ok: false, blocked: true })
        const metrics = await scrape(notifier.url, system.apiKey)
        expect(metrics.value('knell_broker_blocked')).to.equal(1)
        for (let i = 0; i < 20; i++) await witness.revoke(notifier, { sub: `${what}-${i}` })
        await revokeQuickly('pulled')
        expect(view.stats.push, 'who only consumes stays connected').to.equal('up')
        expect(view.freshness().staleMs).to.be.below(10_000)
      } finally {
        await rabbit.control(...clear)
      }
      await pushed()
      await drained()
      await witness.holds(notifier, [view])
    })
  }

  it('loses its exchanges in the midst of publishing: they are made again, and nothing is lost', async () => {
    const operator = await openAmqp(rabbit.url)
    const load = startLoad(witness, notifier)
    try {
      for (const name of ['revocations', 'control']) {
        const before = load.calls
        await eventually(() => load.calls > before + 50)
        await operator.use((channel) => channel.deleteExchange(`${system.namespace}.${name}`))
      }
      await eventually(() => operator.use((channel) => checkBoth(channel)), { timeoutMs: 30_000 })
    } finally {
      await load.stop()
      await operator.close()
    }
    await pushed()
    await drained()
    await witness.holds(notifier, [view])
  })

  async function checkBoth(channel: { checkExchange(name: string): Promise<unknown> }) {
    await channel.checkExchange(`${system.namespace}.revocations`)
    await channel.checkExchange(`${system.namespace}.control`)
    return true
  }

  it('loses the queue of a view, which makes itself another and pulls what fell between', async () => {
    const columns = ['source_name', 'destination_name', 'routing_key']
    const bindings = await rabbit.control('list_bindings', '-s', ...columns)
    const bound = bindings.split('\n').map((line) => line.split('\t'))
    const queues = bound.flatMap(([source, queue = '', key]) =>
      source === `${system.namespace}.revocations` && key === 'default.*' ? [queue] : [],
    )
    expect(queues, 'the one of the view').to.have.length(1)
    const load = startLoad(witness, notifier)
    try {
      await rabbit.control('delete_queue', String(queues[0]))
    } finally {
      await load.stop()
    }
    await pushed()
    const { pushed: before } = view.stats
    await revokeQuickly('after')
    await eventually(() => view.stats.pushed > before, { what: 'an entry by the push path' })
    await witness.holds(notifier, [view])
  })

  it('refuses messages for the sake of one full queue: they are sent again, and others have them once', async () => {
    const operator = await openAmqp(rabbit.url)
    const told: string[] = []
    view.on('revoked', ({ match }) => told.push(String(match['sub'])))
    await operator.use(async (channel) => {
      const options = { 'x-max-length': 0, 'x-overflow': 'reject-publish' }
      await channel.assertQueue('full', { durable: true, arguments: options })
      await channel.bindQueue('full', `${system.namespace}.revocations`, '#')
    })
    const count = async (name: string): Promise<number> =>
      (await scrape(notifier.url, system.apiKey)).sum(name) ?? 0
    try {
      await revokeQuickly('refused')
      await eventually(async () => (await count('knell_events_nacked_total')) >= 2)
    } finally {
      await operator.use((channel) => channel.deleteQueue('full'))
      await operator.close()
    }
    await drained()
    await witness.holds(notifier, [view])
    expect(told).to.deep.equal(['refused'])
  })

  for (const [what, end, begin] of [
    ['killed', async () => rabbit.signal('SIGKILL'), async () => rabbit.start()],
    [
      'stopped as for maintenance (320)',
      async () => void (await rabbit.control('stop_app')),
      async () => void (await rabbit.control('start_app')),
    ],
  ] as const) {
    it(`${what} under load loses nothing that was acknowledged`, async () => {
      const load = startLoad(witness, notifier)
      try {
        await eventually(() => load.calls > 100)
        await end()
        const before = load.calls
        await eventually(() => load.calls > before + 100)
        await begin()
        const after = load.calls
        await eventually(() => load.calls > after + 100)
      } finally {
        await load.stop()
      }
      expect(witness.unknown).to.deep.equal([])
      await pushed()
      await drained()
      await witness.holds(notifier, [view])
    })
  }
})
