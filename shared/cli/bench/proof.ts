import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { judgeAim } from './aims.ts'
import { openNotifier, secret, type Bench } from './bench-context.ts'
import { Caller } from './caller.ts'
import { openChild, type Child } from './child.ts'
import { clockMs } from './clock.ts'
import type { Fleet } from './fleet.ts'
import type { CaseResult } from './result.ts'
import { quantile, ratiosOf, showSpread, spreadOf } from './statistics.ts'

const PACE_MS = 15

interface Enforced {
  readonly enforced?: { readonly done: boolean; readonly live: number }
}

/** A revocation that waits until every instance has applied it, beside the way of one to one view. */
export async function runProof(bench: Bench): Promise<CaseResult> {
  const { engines, scope, sizes, say } = bench
  const { instances, rounds, perRound, warmUp } = sizes.proof
  const notifier = await openNotifier(bench)
  const fleet = openChild<Fleet>('fleet')
  scope.defer(() => fleet.stop())
  await fleet.call('start', {
    instances,
    service: 'bench',
    tenants: ['default'],
    amqpUrl: engines.amqpUrl,
    url: notifier.url,
    apiKey: secret,
    namespace: engines.namespace,
  })
  const caller = new Caller(notifier.url, secret, { sockets: 1 })
  scope.defer(() => caller.close())

  await sample(caller, fleet, instances, warmUp)
  const waited: number[] = []
  const oneWay: number[] = []
  for (let round = 1; round <= rounds; round++) {
    say(`proof: round ${round} of ${rounds}`)
    const [all, one] = await sample(caller, fleet, instances, perRound)
    waited.push(quantile(all, 0.5))
    oneWay.push(quantile(one, 0.5))
  }
  const [knell, push] = [spreadOf(waited), spreadOf(oneWay)]
  const ratio = ratiosOf(waited, oneWay)
  return {
    record: {
      case: 'proof',
      unit: 'ms',
      knell: { p50: knell.median, p50Range: knell.range, instances },
      floor: { p50: push.median, p50Range: push.range },
      ratioToFloor: ratio.median,
      ratioRange: ratio.range,
    },
    rows: [
      {
        what: `wait: all, ${instances} instances, p50 ms`,
        knell: showSpread(knell),
        floor: showSpread(push),
        ratio: `${showSpread(ratio)} × one way`,
        aim: judgeAim('proof.p50', ratio.median),
      },
    ],
    notes: [
      `${rounds} rounds of ${perRound} of each, in turns, ${PACE_MS} ms apart. The floor is a revocation that waits for nobody, from the call to the view of one of the same ${instances} instances, which share one process.`,
    ],
  }
}

async function sample(
  caller: Caller,
  fleet: Child<Fleet>,
  instances: number,
  count: number,
): Promise<[number[], number[]]> {
  await fleet.call('reset')
  const waited: number[] = []
  const sent: [string, number][] = []
  for (let i = 0; i < count; i++) {
    const started = clockMs()
    const body = { match: { jti: randomUUID() }, wait: { for: 'all', timeoutMs: 10_000 } }
    const { enforced } = (await caller.post('/v1/revocations', body)) as Enforced
    waited.push(clockMs() - started)
    if (enforced?.done !== true || enforced.live !== instances) {
      throw new Error(`Not enforced: ${JSON.stringify(enforced)}`)
    }
    await delay(PACE_MS)
    const jti = randomUUID()
    sent.push([jti, clockMs()])
    await caller.post('/v1/revocations', { match: { jti } })
    await delay(PACE_MS)
  }
  await delay(200)
  const arrivals = new Map(await fleet.call('times'))
  return [waited, sent.map(([jti, started]) => (arrivals.get(jti) ?? Number.NaN) - started)]
}
