import { expect } from 'chai'
import fc from 'fast-check'
import { namesOf, serviceNamesOf, type Names } from '../../shared/domain/names.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { openAmqp, type AmqpClient } from '../support/amqp.ts'
import { eventually } from '../support/eventually.ts'
import * as corpus from '../support/fuzz/corpus.ts'
import { dictionary } from '../support/fuzz/dictionary.ts'
import { fuzzAsync } from '../support/fuzz/fuzz.ts'
import { createFuzzedSystem, type FuzzedSystem } from '../support/fuzz/fuzzed-system.ts'
import { mutated } from '../support/fuzz/mutator.ts'
import { call } from '../support/system.ts'

const TOGETHER = 40
const ROUNDS = 6
const SERVICE = 'orders'

/** Any header that is read, with any value that AMQP can carry. */
const headers: fc.Arbitrary<Record<string, unknown>> = fc.dictionary(
  fc.constantFrom('knell-signature', 'traceparent', 'tracestate', 'x-death', 'x-delivery-count'),
  fc.oneof(
    fc.constantFrom(...dictionary).map((token) => token.subarray(0, 4000).toString('latin1')),
    fc.constantFrom<unknown>(null, true, 5, -1, 1e300, [], {}, [{ reason: 5 }], ['x'], [null]),
    fc.constantFrom(...corpus.jws),
  ),
  { maxKeys: 3, noNullPrototype: true },
)

interface Place {
  readonly what: string
  readonly exchange: (names: Names) => string
  readonly keys: readonly string[]
  readonly bodies: readonly string[]
}

const service = serviceNamesOf(namesOf('x'), SERVICE)
const places: readonly Place[] = [
  {
    what: 'entries of revocations',
    exchange: (names) => names.revocations,
    keys: ['default.revoked', 'default.held', 'other.released', 'default.x', 'x'],
    bodies: corpus.entries,
  },
  {
    what: 'entries of expiries',
    exchange: (names) => names.expiries,
    keys: ['default.expired', 'default.expiring'],
    bodies: corpus.entries,
  },
  {
    what: 'beats and acks',
    exchange: (names) => names.control,
    keys: ['default.beat', 'default.ack.orders', '_all.ack.reader', 'default.ack.x.y', 'x.beat'],
    bodies: [...corpus.beats, ...corpus.acks],
  },
  {
    what: 'messages to handlers',
    exchange: (names) => names.retry,
    keys: [service.nowKey, service.retryKey(1), `${SERVICE}.resend`],
    bodies: [...corpus.retries, ...corpus.partials, ...corpus.entries],
  },
  {
    what: 'dead letters',
    exchange: (names) => names.dead,
    keys: [service.deadKey],
    bodies: [...corpus.deadLetters, ...corpus.retries, ...corpus.entries],
  },
]

describe('what comes by AMQP, fuzzed', function () {
  this.timeout(0)
  let system: FuzzedSystem
  let names: Names
  let client: AmqpClient
  let processes: KnellProcess[]
  let watcher: Subscriber
  /** Hears everything that is sent here, and has handlers for all of it. */
  let target: Subscriber

  before(async () => {
    system = createFuzzedSystem()
    names = namesOf(system.namespace)
    processes = [await system.start('notifier'), await system.start('poller')]
    watcher = await system.follow()
    target = await system.subscribe({ service: SERVICE, tenants: ['default', 'other'] })
    await target.handle(['revoked', 'held', 'released', 'restored'], () => {}, { maxAttempts: 1 })
    await target.handle(['expired', 'expiring'], () => {
      throw new Error('no')
    })
    client = await openAmqp(String(system.env['AMQP_URL']))
  })
  after(async () => {
    await client?.close()
    await system?.stop()
  })

  for (const { what, exchange, keys, bodies } of places) {
    it(`${what} stop nobody, whatever they hold`, async () => {
      const input = fc.record({ key: fc.constantFrom(...keys), body: mutated(bodies), headers })
      const some = fc.array(input, { minLength: TOGETHER, maxLength: TOGETHER })
      const send = async (inputs: readonly { key: string; body: Buffer; headers: object }[]) => {
        await Promise.all(
          inputs.map(({ key, body, headers: fields }) =>
            client.publish(exchange(names), key, body, fields as Record<string, unknown>),
          ),
        )
      }
      await fuzzAsync(what, some, send, { runs: ROUNDS, boundMs: 60_000, each: TOGETHER })
      await settled()
      await system.expectAlive(processes, watcher)
    })
  }

  it('leaves dead letters that can be listed, sent again and listed again', async () => {
    const [notifier] = processes
    if (notifier === undefined) throw new Error('There is no notifier.')
    const list = () => call(notifier, system.apiKey, `/v1/dead?service=${SERVICE}&limit=1000`)
    expect((await list()).status).to.equal(200)
    const body = { service: SERVICE, all: true }
    const { status, body: told } = await call(notifier, system.apiKey, '/v1/dead/replay', body)
    expect(status, JSON.stringify(told)).to.equal(200)
    await settled()
    expect((await list()).status).to.equal(200)
    await system.expectAlive(processes, watcher)
  })

  /** Everything was taken out of the service's queue: nothing in it keeps it from the next. */
  async function settled(): Promise<void> {
    const { queue } = serviceNamesOf(names, SERVICE)
    const take = async (): Promise<boolean> => (await client.count(queue)) === 0
    await eventually(take, { what: 'the queue of the service to be empty', timeoutMs: 60_000 })
  }
})
