import { judgeAim } from './aims.ts'
import { openNotifier, secret, type Bench } from './bench-context.ts'
import { Caller } from './caller.ts'
import { openChild, type Child } from './child.ts'
import { clockMs } from './clock.ts'
import type { CaseResult } from './result.ts'
import { quantile, ratiosOf, show, showSpread, spreadOf, type Spread } from './statistics.ts'
import type { Way, WaiterProgram } from './waiter.ts'

/** Room for a million signals, each of which is some 1,000 bytes. */
const HEAP = '--max-old-space-size=4096'

interface Measured {
  readonly bytes: number
  /** One check where nothing is waited for, where everything is, and the ratios of the rounds. */
  readonly without: Spread
  readonly check: Spread
  readonly ratio: Spread
  /** From the call to the listener of one token, alone and among all the others: p50 in ms. */
  readonly alone: number
  readonly among: number
  readonly massMs: number
  readonly longestMs: number
}

/** Very many tokens whose death is waited for: what each costs, how fast it is told, and what it does to `check`. */
export async function runSignals(bench: Bench): Promise<CaseResult> {
  const { scope, sizes } = bench
  const { tokens } = sizes.signals
  const notifier = await openNotifier(bench)
  const caller = new Caller(notifier.url, secret, { sockets: 1 })
  scope.defer(() => caller.close())
  const [idle, full] = await Promise.all([
    openWaiter(bench, notifier.url),
    openWaiter(bench, notifier.url),
  ])
  const nodeBytes = await full.call('weighBare', Math.min(tokens, 100_000))
  const watch = await measure(bench, 'watch', { idle, full, caller })
  const signal = await measure(bench, 'signal', { idle, full, caller })
  return {
    record: {
      case: 'signals',
      unit: 'B',
      knell: { ...figuresOf('watch', watch), ...figuresOf('signal', signal), tokens },
      floor: { signalBytes: nodeBytes, checkNs: watch.without.median, toldMs: watch.alone },
      ratioToFloor: signal.bytes / nodeBytes,
    },
    rows: [
      {
        what: 'per watched token, B',
        knell: show(watch.bytes),
        aim: judgeAim('signals.watchBytes', watch.bytes),
      },
      {
        what: 'per token with a signal, B',
        knell: show(signal.bytes),
        floor: show(nodeBytes),
        ratio: `${show(signal.bytes - nodeBytes)} above floor`,
        aim: judgeAim('signals.signalBytes', signal.bytes - nodeBytes),
      },
      ...rowsOf('watch', watch),
      ...rowsOf('signal', signal),
    ],
    notes: [
      `${show(tokens)} live tokens of seven claims each, beside the same process with none, in turns. The floor of a signal is a bare AbortController of this Node; that of the times, one live token. Checks are medians over batches of 500, so collections are left out: those take longer the more a process holds.`,
    ],
  }
}

/** The figures of one way, their names beginning with it. */
function figuresOf(way: Way, all: Measured): Readonly<Record<string, number>> {
  return {
    [`${way}Bytes`]: all.bytes,
    [`${way}ToldMs`]: all.among,
    [`${way}MassMs`]: all.massMs,
    [`${way}LongestMs`]: all.longestMs,
    [`${way}CheckNs`]: all.check.median,
    [`${way}CheckRatio`]: all.ratio.median,
  }
}

function rowsOf(way: Way, all: Measured): CaseResult['rows'] {
  return [
    {
      what: `${way}: revoke call → told, p50 ms`,
      knell: show(all.among),
      floor: show(all.alone),
      ratio: `${show(all.among / all.alone)} × floor`,
    },
    {
      what: `${way}: all by one rule, ms`,
      knell: show(all.massMs),
      ratio: `${show(all.longestMs)} ms at a stretch`,
    },
    {
      what: `${way}: check of a good token, ns`,
      knell: showSpread(all.check),
      floor: showSpread(all.without),
      ratio: `${showSpread(all.ratio)} × floor`,
    },
  ]
}

async function openWaiter(bench: Bench, url: string): Promise<Child<WaiterProgram>> {
  const { engines, scope } = bench
  const waiter = openChild<WaiterProgram>('waiter', { execArgv: ['--expose-gc', HEAP] })
  scope.defer(() => waiter.stop())
  const { amqpUrl, namespace } = engines
  await waiter.call('boot', { amqpUrl, namespace, url, apiKey: secret })
  return waiter
}

async function measure(
  { sizes, say }: Bench,
  way: Way,
  parts: { idle: Child<WaiterProgram>; full: Child<WaiterProgram>; caller: Caller },
): Promise<Measured> {
  const { idle, full, caller } = parts
  const { tokens, rounds, perRound, samples } = sizes.signals
  say(`signals: ${tokens} tokens, ${way}`)
  const bytes = await full.call('add', way, tokens)
  const [without, check]: [number[], number[]] = [[], []]
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const first = tokens + 1000 + round * perRound
    const [a, b] = [
      await idle.call('check', way, first, perRound),
      await full.call('check', way, first, perRound),
    ]
    if (round === 0) continue
    without.push(a)
    check.push(b)
  }

  say(`signals: revoking ${samples} of them one by one`)
  const [alone, among]: [number[], number[]] = [[], []]
  for (let i = 0; i < samples; i++) {
    const index = Math.floor((i * tokens) / samples)
    among.push(await told(full, caller, way, index))
    // Of a token that the other process does not know of.
    alone.push(await told(idle, caller, way, tokens + i))
  }

  say('signals: revoking all that are left')
  const emptied = full.call('emptied')
  await caller.post('/v1/revocations', { match: { client_id: `${way}-app` } })
  const { ms: massMs, longestMs } = await emptied
  return {
    bytes,
    without: spreadOf(without),
    check: spreadOf(check),
    ratio: ratiosOf(check, without),
    alone: quantile(alone, 0.5),
    among: quantile(among, 0.5),
    massMs,
    longestMs,
  }
}

/** ms from the call to the listener. */
async function told(
  waiter: Child<WaiterProgram>,
  caller: Caller,
  way: Way,
  index: number,
): Promise<number> {
  const jti = await waiter.call('arm', way, index)
  const started = clockMs()
  await caller.post('/v1/revocations', { match: { jti } })
  return ((await waiter.call('died')) ?? Number.NaN) - started
}
