import { openBarePublisher } from './bare.ts'
import { bareExchangeOf, openNotifier, secret, type Bench } from './bench-context.ts'
import { Caller } from './caller.ts'
import { clockMs } from './clock.ts'
import { hear, openListener } from './listening.ts'
import type { CaseResult } from './result.ts'
import { ratiosOf, showSpread, spreadOf } from './statistics.ts'
import { jtiOf } from './tokens.ts'

const CALLERS = 64

/** Many callers at once: how many revocations a second are acknowledged, and applied in a view. */
export async function runRevoke(bench: Bench): Promise<CaseResult> {
  const { engines, scope, sizes, say } = bench
  const { rounds, perRound, warmUp } = sizes.revoke
  const notifier = await openNotifier(bench)
  const listener = await openListener(bench, notifier)
  const caller = new Caller(notifier.url, secret, { sockets: CALLERS })
  scope.defer(() => caller.close())
  const bare = await openBarePublisher(engines.amqpUrl, bareExchangeOf(bench))
  scope.defer(() => bare.close())

  let last = 0
  const revoke = async (): Promise<void> => {
    const match = { jti: jtiOf(++last) }
    await caller.post('/v1/revocations', { match, reason: 'logout' })
  }
  const body = Buffer.alloc(380, 'x')
  const publish = (): Promise<void> => bare.publish('default.revoked', jtiOf(++last), body)
  const measure = async (
    source: 'revoked' | 'bare',
    send: () => Promise<void>,
    count: number,
  ): Promise<{ accepted: number; applied: number }> => {
    await listener.call('reset')
    const started = clockMs()
    await atOnce(send, count)
    const answered = clockMs()
    const { lastMs } = await hear(listener, source, count)
    const perSecond = (ended: number): number => (count * 1000) / (ended - started)
    return { accepted: perSecond(answered), applied: perSecond(lastMs) }
  }

  await measure('revoked', revoke, warmUp)
  await measure('bare', publish, warmUp)
  const accepted: number[] = []
  const applied: number[] = []
  const floor: number[] = []
  for (let round = 1; round <= rounds; round++) {
    say(`revoke: round ${round} of ${rounds}`)
    const knell = await measure('revoked', revoke, perRound)
    accepted.push(knell.accepted)
    applied.push(knell.applied)
    floor.push((await measure('bare', publish, perRound)).applied)
  }
  const [acceptedSpread, appliedSpread, floorSpread] = [accepted, applied, floor].map(spreadOf) as [
    ReturnType<typeof spreadOf>,
    ReturnType<typeof spreadOf>,
    ReturnType<typeof spreadOf>,
  ]
  const ratio = ratiosOf(applied, floor)
  return {
    record: {
      case: 'revoke',
      unit: 'revocations/s',
      knell: {
        accepted: acceptedSpread.median,
        acceptedRange: acceptedSpread.range,
        applied: appliedSpread.median,
        appliedRange: appliedSpread.range,
        callers: CALLERS,
      },
      floor: { applied: floorSpread.median, appliedRange: floorSpread.range },
      ratioToFloor: ratio.median,
      ratioRange: ratio.range,
    },
    rows: [
      { what: 'acknowledged /s', knell: showSpread(acceptedSpread) },
      {
        what: 'applied in a view /s',
        knell: showSpread(appliedSpread),
        floor: showSpread(floorSpread),
        ratio: `${showSpread(ratio)} × floor`,
      },
    ],
    notes: [
      `${CALLERS} callers over HTTP from one process, which shares the cores; ${rounds} rounds of ${perRound}. The floor is ${CALLERS} unconfirmed bare messages at a time, with no HTTP and no store.`,
    ],
  }
}

/** Runs `work` so many times, as many at once as there are callers. */
async function atOnce(work: () => Promise<void>, count: number): Promise<void> {
  let left = count
  const one = async (): Promise<void> => {
    while (left-- > 0) await work()
  }
  await Promise.all(Array.from({ length: Math.min(CALLERS, count) }, one))
}
