import fc from 'fast-check'
import type { KnellKind, KnellProcess } from '../../shared/cli/processes.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { operations, type Operation } from '../support/openapi.ts'
import { OWN } from '../support/ops-session.ts'
import { fuzzAsync } from '../support/fuzz/fuzz.ts'
import {
  createFuzzedSystem,
  expectNoFaults,
  type FuzzedSystem,
} from '../support/fuzz/fuzzed-system.ts'
import { expectCoded, patienceOf } from '../support/fuzz/http-expectations.ts'
import { mutatedRequests, requestsOf, type HttpInput } from '../support/fuzz/http-inputs.ts'
import { exchange, type RawRequest } from '../support/fuzz/raw-http.ts'

/** So many requests go out together. */
const TOGETHER = 8
const ROUNDS = 3
/** The dashboard's own calls are no part of the document. */
const OPS: readonly string[] = [
  'GET /ops',
  'GET /ops/session',
  'POST /ops/session',
  'DELETE /ops/session',
  'GET /ops/events',
  'GET /ops/jobs/api/queues',
]

describe('the calls of a notifier and a poller, fuzzed', function () {
  this.timeout(0)
  let system: FuzzedSystem
  let subscriber: Subscriber
  const processes = new Map<KnellKind, KnellProcess>()
  const alive = () => system.expectAlive([...processes.values()], subscriber)

  before(async () => {
    system = createFuzzedSystem()
    for (const kind of ['notifier', 'poller'] as const) {
      processes.set(kind, await system.start(kind))
    }
    subscriber = await system.follow()
    await alive()
  })
  after(() => system?.stop())

  async function fuzzCall(
    call: string,
    kind: KnellKind,
    requests: readonly RawRequest[],
    operation?: Operation,
  ): Promise<void> {
    const { port } = processes.get(kind) as KnellProcess
    const some = fc.array(mutatedRequests(requests, operation), {
      minLength: TOGETHER,
      maxLength: TOGETHER,
    })
    const check = async (inputs: readonly HttpInput[]): Promise<void> => {
      await Promise.all(
        inputs.map(async (input) => {
          expectCoded(call, input, await exchange(port, input.bytes, patienceOf(call, input)))
        }),
      )
    }
    await fuzzAsync(`${call} of a ${kind}`, some, check, {
      runs: ROUNDS,
      boundMs: 60_000,
      each: TOGETHER,
    })
    expectNoFaults([...processes.values()])
  }

  for (const [call, operation] of operations) {
    for (const kind of operation['x-served-by'] as readonly KnellKind[]) {
      it(`${call} of a ${kind} answers whatever comes, and an error with a code`, async () => {
        const requests = requestsOf(call, system.samples[call] ?? [], system.apiKey)
        await fuzzCall(call, kind, requests, operation)
      })
    }
  }

  for (const call of OPS) {
    it(`${call} of the dashboard answers whatever comes, and an error with a code`, async () => {
      const headers = { ...OWN, cookie: '__Host-knell-ops=x' }
      const body = { secret: system.apiKey }
      const asked = call.startsWith('POST') ? { headers: OWN, body } : { headers }
      const anonymous = requestsOf(call, [asked], system.apiKey).map((request) => ({
        ...request,
        headers: request.headers.filter(([name]) => name !== 'authorization'),
      }))
      await fuzzCall(call, 'notifier', [...requestsOf(call, [asked], system.apiKey), ...anonymous])
    })
  }

  it('leaves everything working', alive)
})
