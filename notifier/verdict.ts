import type { Population, Seen } from '../shared/store/population.ts'

export type Verdict = 'ok' | 'degraded' | 'failing'

/** What the judgement on "is everything enforced?" rests on. */
export interface Evidence {
  /** Who listens; undefined where the store did not say. */
  readonly population: Population | undefined
  /** How long ago the oldest revocation was committed that RabbitMQ has not confirmed, ms; 0: there is none; undefined where that could not be read. */
  readonly unsentMs: number | undefined
  readonly isBrokerUp: boolean
  readonly isBrokerBlocked: boolean
  readonly beatMs: number
}

export interface Slowest {
  readonly service: string
  readonly instance: string
  /** Entries it has not said to have applied; null where that cannot be told. */
  readonly behind: number | null
  /** The age of the store state it said to contain, ms; null before it said so. */
  readonly staleMs: number | null
}

export interface Judgement {
  readonly verdict: Verdict
  readonly reason: string
  /** Instances that could let a dead token in; null, as `stale` then is, where nobody can tell. */
  readonly live: number | null
  /** Those of them that have not said for a while that they are up to date. */
  readonly stale: number | null
  readonly slowest: Slowest | null
}

/** A view in order contains a state no older than this many beats: two to hear of it, one to say so. */
const LATE_BEATS = 4
/** Shorter than this nobody is called late, however fast beats come. */
const LEAST_LATE_MS = 5000
/** A view takes this long to boot at most; past it it is told of. It lets nobody in until then. */
const JOINING_MS = 30_000
const UNSETTLED =
  'the store has begun a new term and may not have heard of every instance again yet'
/** A confirm takes milliseconds. */
const UNSENT_MS = 10_000

/**
 * Whether every revocation holds everywhere. `failing`: some instance may still let in what was
 * revoked, or nobody can tell. `degraded`: it holds, or the instance refuses by itself, but one of
 * the two ways is broken or an instance lets nobody in.
 */
export function judgeEnforcement(evidence: Evidence): Judgement {
  const { population, beatMs } = evidence
  if (population === undefined) {
    const reason = 'Redis does not answer, so nobody can tell what is enforced.'
    return { verdict: 'failing', reason, live: null, stale: null, slowest: null }
  }
  const lateMs = Math.max(LEAST_LATE_MS, LATE_BEATS * beatMs)
  const live = population.seen.filter(({ isGone }) => !isGone)
  const late = live.filter((one) => isLate(one, lateMs))
  const leaking = late.filter((one) => mayLetIn(one))
  const counts = { live: live.length, stale: late.length, slowest: slowestOf(live) }
  const [worst] = leaking.length > 0 ? worstFirst(leaking) : worstFirst(late)
  if (leaking.length > 0 && worst !== undefined) {
    const others = othersOf(leaking.length)
    const reason = `${nameOf(worst)}${others} may still let in what was revoked: ${lackOf(worst)}.`
    return { verdict: 'failing', reason, ...counts }
  }
  const reasons = [
    ...(worst === undefined ? [] : [`${nameOf(worst)}${othersOf(late.length)} ${stateOf(worst)}`]),
    ...(population.isSettled ? [] : [UNSETTLED]),
    ...brokerReasons(evidence),
  ]
  if (reasons.length > 0) {
    return { verdict: 'degraded', reason: `${reasons.join('; ')}.`, ...counts }
  }
  return { verdict: 'ok', reason: calmReason(live), ...counts }
}

/** Where nobody is late: who is up to date, and who may still take its moment. */
function calmReason(live: readonly Seen[]): string {
  if (live.length === 0) {
    return 'No instance of any service is live, so there is nowhere to enforce anything.'
  }
  const lacking = live.filter(({ behind }) => behind !== 0)
  const [worst] = [...worstFirst(lacking.filter(mayLetIn)), ...worstFirst(lacking)]
  if (worst === undefined) return `All ${live.length} live instances are up to date.`
  const done = `${live.length - lacking.length} of ${live.length} live instances`
  const lack = worst.staleMs === null ? 'it boots and lets nobody in yet' : lackOf(worst)
  return `${done} have applied everything, not ${nameOf(worst)}${othersOf(lacking.length)}: ${lack}.`
}

/**
 * Whether an instance has not said for so long that it is up to date. One that boots has more time,
 * unless it lets in whom it knows nothing of.
 */
function isLate({ instance, staleMs, ageMs }: Seen, lateMs: number): boolean {
  if (staleMs !== null) return staleMs > lateMs
  return instance.maxStalenessMs === null || ageMs > JOINING_MS
}

/** Whether a late instance may let in what was revoked: it lacks something, and its own limit has not stopped it yet. */
function mayLetIn({ instance, staleMs, behind }: Seen): boolean {
  if (behind === 0) return false
  const { maxStalenessMs } = instance
  if (maxStalenessMs === null) return true
  // Without a snapshot it lets nobody in.
  return staleMs !== null && staleMs <= maxStalenessMs
}

function brokerReasons({ isBrokerUp, isBrokerBlocked, unsentMs }: Evidence): string[] {
  if (!isBrokerUp) return ['RabbitMQ is away, so services pull what is revoked, which takes longer']
  if (isBrokerBlocked) return ['RabbitMQ blocks publishers, so services pull what is revoked']
  if (unsentMs === undefined) {
    return ['nobody can tell what waits for RabbitMQ, since Redis did not say']
  }
  if (unsentMs > UNSENT_MS) {
    return [`a revocation has waited ${seconds(unsentMs)} for RabbitMQ to confirm it`]
  }
  return []
}

function stateOf({ instance, staleMs, behind }: Seen): string {
  const { maxStalenessMs } = instance
  if (staleMs === null) return 'has no snapshot yet and lets nobody in'
  if (maxStalenessMs !== null && staleMs > maxStalenessMs) {
    return `is stale for ${seconds(staleMs)} and lets nobody in any more`
  }
  return behind === 0
    ? `was last heard of ${seconds(staleMs)} ago, up to date with all that was revoked`
    : `is stale for ${seconds(staleMs)}`
}

function lackOf({ staleMs, behind }: Seen): string {
  const since = staleMs === null ? '' : `, last up to date ${seconds(staleMs)} ago`
  if (behind === null) return `it has not said what it contains of this store${since}`
  return `it lacks ${behind} ${behind === 1 ? 'entry' : 'entries'}${since}`
}

function worstFirst(seen: readonly Seen[]): Seen[] {
  return [...seen].sort((a, b) => badness(b) - badness(a))
}

function badness({ staleMs }: Seen): number {
  return staleMs ?? Number.MAX_SAFE_INTEGER
}

function lack({ behind }: Seen): number {
  return behind ?? Number.MAX_SAFE_INTEGER
}

function slowestOf(live: readonly Seen[]): Slowest | null {
  const [first] = [...live].sort((a, b) => lack(b) - lack(a) || badness(b) - badness(a))
  if (first === undefined) return null
  const { service, instance } = first.instance
  return { service, instance, behind: first.behind, staleMs: first.staleMs }
}

function nameOf({ instance }: Seen): string {
  return `${instance.service}/${instance.instance}`
}

function othersOf(count: number): string {
  return count > 1 ? ` and ${count - 1} more` : ''
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`
}
