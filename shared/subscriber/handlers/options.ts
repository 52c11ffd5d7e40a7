import { isRecord, type ExpiryEvent, type ExpiryKind, type Kind } from '../../domain/entry.ts'
import type { Log } from '../../domain/position.ts'
import type { Rule } from '../../domain/rule.ts'
import type { EventSource } from '../events.ts'

export interface HandleOptions {
  /** Messages that wait in this instance at a time, 1 to 1,000; of several handlers the highest counts. Default: 10. */
  readonly prefetch?: number
  /** Events that run in this instance at a time, 1 to 1,000. Default: 10. */
  readonly concurrency?: number
  /** ms after which an event's signal aborts and it counts as failed, 1 to 900,000. Default: 30,000. */
  readonly timeoutMs?: number
  /** How often an event is tried before it goes to the dead letters, 1 to 100. Default: 5. */
  readonly maxAttempts?: number
}

/** What a handler is told besides the event. */
export interface HandlerContext {
  /** Aborts when `timeoutMs` have passed or the subscriber is closing: stop then, the result no longer counts. */
  readonly signal: AbortSignal
  /** Which try this is, counted from 1. */
  readonly attempt: number
  /** The event's idempotency key, `<tenant>.<log>.<shard>.<term>-<seq>.<index>`: the same however often it comes. */
  readonly key: string
  readonly source: EventSource
}

/** What a handler of this kind is given: the rule as it now stands, or the token. */
export type EventOf<K extends Kind> = K extends ExpiryKind ? ExpiryEvent : Rule

/** Handles one event. Resolving means handled; throwing, or taking too long, means failed. */
export type Handler<K extends Kind> = (event: EventOf<K>, context: HandlerContext) => unknown

/** A running handler. */
export interface Handling {
  /** Takes no more events of these kinds, and finishes what runs. Twice is fine. */
  stop(): Promise<void>
}

const allKinds: readonly Kind[] = ['revoked', 'held', 'released', 'restored', 'expired', 'expiring']

const RANGES: Readonly<Record<keyof HandleOptions, readonly [fallback: number, most: number]>> = {
  prefetch: [10, 1000],
  concurrency: [10, 1000],
  timeoutMs: [30_000, 900_000],
  maxAttempts: [5, 100],
}

/** The options with their defaults. @throws TypeError that lists everything wrong with them */
export function settleHandle(
  kinds: readonly Kind[],
  fn: unknown,
  given: HandleOptions,
): Required<HandleOptions> {
  const problems: string[] = []
  if (!Array.isArray(kinds) || kinds.length === 0) problems.push('kinds must be a list of kinds')
  else {
    for (const kind of kinds) {
      if (!allKinds.includes(kind)) problems.push(`${String(kind)} is not a kind`)
    }
    if (new Set(kinds).size !== kinds.length) problems.push('kinds names a kind twice')
  }
  if (typeof fn !== 'function') problems.push('the handler must be a function')
  const settled: Record<string, number> = {}
  for (const name of Object.keys(given)) {
    if (!(name in RANGES)) problems.push(`${name} is not an option`)
  }
  for (const [name, [fallback, most]] of Object.entries(RANGES)) {
    const value = given[name as keyof HandleOptions] ?? fallback
    if (!Number.isSafeInteger(value) || value < 1 || value > most) {
      problems.push(`${name} must be a whole number from 1 to ${most}`)
    }
    settled[name] = value
  }
  if (problems.length > 0) throw new TypeError(`handle: ${problems.join('; ')}.`)
  return settled as unknown as Required<HandleOptions>
}

export interface ReplayOptions {
  readonly log: Log
  /** The store time (a `Date` or ms) of the first entry, or the positions, one `<term>-<seq>` per shard, after which to begin. */
  readonly from: { readonly at: Date | number } | { readonly after: readonly string[] }
  /** The store time up to which to go. Default: what is in the feed when the replay begins. */
  readonly until?: Date | number
  /** Needed only where several tenants are followed. */
  readonly tenant?: string
}

/** All that is wrong with what a replay was asked for. */
export function problemsOfReplay(options: ReplayOptions): readonly string[] {
  const { log, from, until } = (options ?? {}) as Partial<ReplayOptions>
  const problems: string[] = []
  if (log !== 'revocations' && log !== 'expiries') {
    problems.push('log must be "revocations" or "expiries"')
  }
  const isFrom =
    isRecord(from) &&
    ('after' in from
      ? Array.isArray(from.after) && from.after.every((each) => typeof each === 'string')
      : isTime(from['at']))
  if (!isFrom) {
    problems.push(
      'from must be { at: a Date or ms } or { after: a list of positions, one per shard }',
    )
  }
  if (until !== undefined && !isTime(until)) problems.push('until must be a Date or ms')
  return problems
}

function isTime(value: unknown): boolean {
  return (typeof value === 'number' || value instanceof Date) && Number.isFinite(Number(value))
}
