import type { CaseRecord, Figures } from '../result.ts'
import { quantile, show, showSpread, spreadOf, type Spread } from '../statistics.ts'
import type { Cost } from './measuring.ts'
import type { Plan } from './plans.ts'

/** What has come out for one strategy. */
export interface Outcome {
  readonly plan: Plan
  /** By round. */
  readonly costs: readonly Cost[]
  /** ms from the return of the call to the first refusal; none where nothing can be called. */
  readonly lags: readonly number[]
  /** What the process has grown by when it opened, and what it takes per token it remembers. */
  readonly grownBytes: number
  readonly perToken: number
}

/** A token of that life, killed at any moment of it, has so much left. */
export const SHORT_LIFE_MS = 300_000

const inMicros = ({ median, range }: Spread): Spread => ({
  median: median / 1000,
  range: [range[0] / 1000, range[1] / 1000],
})

function spread(outcome: Outcome, member: keyof Cost): Spread {
  return spreadOf(outcome.costs.map((cost) => cost[member]))
}

/** Median and worst, ms. */
function lagOf({ lags }: Outcome): readonly [number, number] {
  if (lags.length === 0) return [SHORT_LIFE_MS / 2, SHORT_LIFE_MS]
  return [quantile(lags, 0.5), Math.max(...lags)]
}

function figuresOf(outcome: Outcome): Figures {
  const [p50, p99, cpu] = (['p50', 'p99', 'cpu'] as const).map((member) =>
    inMicros(spread(outcome, member)),
  ) as [Spread, Spread, Spread]
  const [ask, askP99] = (['askP50', 'askP99'] as const).map((member) =>
    inMicros(spread(outcome, member)),
  ) as [Spread, Spread]
  const perSecond = spread(outcome, 'perSecond')
  const [lagMs, worstLagMs] = lagOf(outcome)
  return {
    p50: p50.median,
    p50Range: p50.range,
    p99: p99.median,
    ask: ask.median,
    askRange: ask.range,
    askP99: askP99.median,
    perSecond: perSecond.median,
    perSecondRange: perSecond.range,
    cpu: cpu.median,
    calls: spread(outcome, 'calls').median,
    lagMs,
    worstLagMs,
    grownBytes: outcome.grownBytes,
    bytesPerToken: outcome.perToken,
  }
}

export function recordOf(outcomes: readonly Outcome[], listBytes: number): CaseRecord {
  const all = Object.fromEntries(outcomes.map((one) => [one.plan.name, figuresOf(one)]))
  const { view = {}, redis = {} } = all
  return {
    case: 'strategies',
    unit: 'µs',
    knell: view,
    peer: { ...redis, listBytes },
    strategies: all,
  }
}

const heads = [
  'strategy',
  'verify + ask, p50 µs',
  'p99',
  'asking alone, p50',
  'p99',
  'requests/s',
  'CPU µs',
  'calls',
  'refused after, p50',
  'worst',
]

/** The table, with its head. */
export function gridOf(outcomes: readonly Outcome[]): readonly (readonly string[])[] {
  return [heads, ...outcomes.map(lineOf)]
}

function lineOf(outcome: Outcome): string[] {
  const { plan, lags } = outcome
  const micros = (member: keyof Cost): Spread => inMicros(spread(outcome, member))
  const [lag, worst] = lagOf(outcome)
  const isAsking = spread(outcome, 'askP50').median > 0
  return [
    plan.title,
    showSpread(micros('p50')),
    show(micros('p99').median),
    isAsking ? showSpread(micros('askP50')) : '–',
    isAsking ? show(micros('askP99').median) : '–',
    showSpread(spread(outcome, 'perSecond')),
    show(micros('cpu').median),
    show(spread(outcome, 'calls').median),
    showMs(lag, lags.length > 0),
    showMs(worst, lags.length > 0),
  ]
}

/** What was reckoned is told from what was measured. */
function showMs(ms: number, isMeasured: boolean): string {
  const text = ms >= 1000 ? `${show(ms / 1000)} s` : `${show(ms)} ms`
  return isMeasured ? text : `(${text})`
}
