import type { CaseRecord, Figures } from '../result.ts'
import { quantile, show, showSpread, spreadOf, type Spread } from '../statistics.ts'
import type { Cost } from './measuring.ts'
import type { Plan } from './plans.ts'
import { SHORT_LIFE_MS } from './short-life.ts'

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

function spread({ costs }: Outcome, member: keyof Cost): Spread {
  return spreadOf(costs.map((cost) => cost[member]))
}

/** What is measured in ns. */
function micros(outcome: Outcome, member: Exclude<keyof Cost, 'perSecond' | 'calls'>): Spread {
  return spreadOf(outcome.costs.map((cost) => cost[member] / 1000))
}

/** Median and worst, ms. */
function lagOf({ lags }: Outcome): readonly [number, number] {
  if (lags.length === 0) return [SHORT_LIFE_MS / 2, SHORT_LIFE_MS]
  return [quantile(lags, 0.5), Math.max(...lags)]
}

function figuresOf(outcome: Outcome): Figures {
  const [p50, ask] = [micros(outcome, 'p50'), micros(outcome, 'askP50')]
  const perSecond = spread(outcome, 'perSecond')
  const [lagMs, worstLagMs] = lagOf(outcome)
  return {
    p50: p50.median,
    p50Range: p50.range,
    p99: micros(outcome, 'p99').median,
    ask: ask.median,
    askRange: ask.range,
    askP99: micros(outcome, 'askP99').median,
    askMean: micros(outcome, 'askMean').median,
    perSecond: perSecond.median,
    perSecondRange: perSecond.range,
    cpu: micros(outcome, 'cpu').median,
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
  'mean',
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
  const [lag, worst] = lagOf(outcome)
  const isAsking = spread(outcome, 'askP50').median > 0
  return [
    plan.title,
    showSpread(micros(outcome, 'p50')),
    show(micros(outcome, 'p99').median),
    isAsking ? showSpread(micros(outcome, 'askP50')) : '–',
    isAsking ? show(micros(outcome, 'askP99').median) : '–',
    isAsking ? show(micros(outcome, 'askMean').median) : '–',
    showSpread(spread(outcome, 'perSecond')),
    show(micros(outcome, 'cpu').median),
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
