import { judgeAim } from './aims.ts'
import { bareExchangeOf, knellEnv, openNotifier, secret, type Bench } from './bench-context.ts'
import { openChild } from './child.ts'
import { clockMs } from './clock.ts'
import { LeanCaller } from './lean-caller.ts'
import { hear, openListener } from './listening.ts'
import type { CaseResult } from './result.ts'
import type { Revoker } from './revoker.ts'
import { ratiosOf, showSpread, spreadOf } from './statistics.ts'
import { jtiOf } from './tokens.ts'

/** At once, without HTTP; and the least that a system that is busy has. */
const CALLERS = 512
const FEW = 8
/** Over HTTP: connections, and requests on their way on each. */
const SOCKETS = 8
const DEPTH = 16
/** Ids of what is revoked over HTTP, apart from all others. */
const OVER_HTTP = 500_000_000
const BYTES = 380

interface Rates {
  readonly accepted: number
  readonly applied: number
}

/** Many callers at once: how many revocations a second are acknowledged, and applied in a view. */
export async function runRevoke(bench: Bench): Promise<CaseResult> {
  const { engines, scope, sizes, say } = bench
  const { rounds, perRound, warmUp } = sizes.revoke
  const notifier = await openNotifier(bench)
  const listener = await openListener(bench, notifier)
  const caller = await LeanCaller.open(notifier.url, secret, SOCKETS)
  scope.defer(() => caller.close())
  const revoker = openChild<Revoker>('revoker')
  scope.defer(() => revoker.stop())
  const { amqpUrl, redisUrl, namespace } = engines
  const exchange = bareExchangeOf(bench)
  const env = knellEnv(bench)
  await revoker.call('start', { env, amqpUrl, redisUrl, namespace, exchange, bytes: BYTES })

  const ratesOf = async (
    count: number,
    source: 'revoked' | 'bare',
    { startedMs, answeredMs }: { startedMs: number; answeredMs: number },
  ): Promise<Rates> => {
    const { lastMs } = await hear(listener, source, count)
    const rate = (ended: number): number => (count * 1000) / (ended - startedMs)
    return { accepted: rate(answeredMs), applied: rate(Math.max(lastMs, answeredMs)) }
  }
  const direct = async (way: 'group' | 'one-by-one', count: number, callers: number) => {
    await listener.call('reset')
    const times = await revoker.call('revoke', way, count, callers)
    return ratesOf(count, way === 'group' ? 'revoked' : 'bare', times)
  }
  let last = OVER_HTTP
  const bodyOf = (): string => `{"match":{"jti":"${jtiOf(++last)}"},"reason":"logout"}`
  const overHttp = async (count: number): Promise<Rates> => {
    await listener.call('reset')
    const startedMs = clockMs()
    await caller.post(count, DEPTH, bodyOf)
    return ratesOf(count, 'revoked', { startedMs, answeredMs: clockMs() })
  }
  const ways = {
    group: (count: number) => direct('group', count, CALLERS),
    few: (count: number) => direct('group', Math.ceil(count / 4), FEW),
    http: (count: number) => overHttp(Math.ceil(count / 4)),
    peer: (count: number) => direct('one-by-one', Math.ceil(count / 4), CALLERS),
  } as const
  type Way = keyof typeof ways
  const names = Object.keys(ways) as Way[]
  const found: Record<Way, Rates[]> = { group: [], few: [], http: [], peer: [] }
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    say(`revoke: round ${round} of ${rounds}`)
    for (const name of names) {
      const rates = await ways[name](round === 0 ? warmUp : perRound)
      if (round > 0) found[name].push(rates)
    }
  }

  const all = (way: Way, what: keyof Rates): number[] => found[way].map((rates) => rates[what])
  const of = (way: Way, what: keyof Rates): ReturnType<typeof spreadOf> => spreadOf(all(way, what))
  const [accepted, applied] = [of('group', 'accepted'), of('group', 'applied')]
  const peer = of('peer', 'applied')
  const ratio = ratiosOf(all('group', 'applied'), all('peer', 'applied'))
  const httpRatio = ratiosOf(all('http', 'applied'), all('peer', 'applied'))
  return {
    record: {
      case: 'revoke',
      unit: 'revocations/s',
      knell: {
        accepted: accepted.median,
        acceptedRange: accepted.range,
        applied: applied.median,
        appliedRange: applied.range,
        callers: CALLERS,
        appliedOfFew: of('few', 'applied').median,
        few: FEW,
        acceptedOverHttp: of('http', 'accepted').median,
        appliedOverHttp: of('http', 'applied').median,
      },
      peer: { applied: peer.median, appliedRange: peer.range },
      ratioToPeer: ratio.median,
      ratioRange: ratio.range,
    },
    rows: [
      {
        what: `${CALLERS} callers, acknowledged /s`,
        knell: showSpread(accepted),
        aim: judgeAim('revoke.accepted', accepted.median),
      },
      {
        what: `${CALLERS} callers, applied in a view /s`,
        knell: showSpread(applied),
        peer: showSpread(peer),
        ratio: `${showSpread(ratio)} × peer`,
        aim: judgeAim('revoke.applied', applied.median),
      },
      { what: `${FEW} callers, applied /s`, knell: showSpread(of('few', 'applied')) },
      {
        what: 'over HTTP, applied /s',
        knell: showSpread(of('http', 'applied')),
        peer: showSpread(peer),
        ratio: `${showSpread(httpRatio)} × peer`,
      },
    ],
    notes: [
      `${rounds} rounds of ${perRound} single revocations by callers that each wait for their answer, in one process, by group commit and relay as in the notifier, but without HTTP; a quarter as many with ${FEW} callers, over HTTP and by the peer. The peer writes a key to Redis and publishes a confirmed message for each, ${CALLERS} at once.`,
      `Over HTTP: ${SOCKETS} connections with ${DEPTH} requests on their way on each, by the leanest client there is, which shares the cores with the notifier.`,
    ],
  }
}
