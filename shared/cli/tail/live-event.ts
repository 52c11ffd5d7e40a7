import type { ClaimValue, Match } from '../../domain/claims.ts'
import { logOf, type Entry, type Kind } from '../../domain/entry.ts'

/** One event of an entry, with where the entry stands. */
export interface LiveEvent {
  /** The store's time of the commit, in ms. */
  readonly at: number
  readonly tenant: string
  readonly kind: Kind
  readonly shard: number
  readonly epoch: string
  readonly seq: number
  readonly event: Readonly<Record<string, unknown>>
}

export function eventsOf(entry: Entry): readonly LiveEvent[] {
  const { at, tenant, kind, shard, epoch, seq } = entry
  return entry.events.map((event) => ({
    at,
    tenant,
    kind,
    shard,
    epoch,
    seq,
    event: event as unknown as Readonly<Record<string, unknown>>,
  }))
}

/** Whether an event names every claim that is looked for, and has the reason. */
export function isWanted(
  { kind, event }: LiveEvent,
  filter: { readonly match?: Match | undefined; readonly reason?: string | undefined },
): boolean {
  const { match, reason } = filter
  if (reason !== undefined && (event['reason'] ?? 'other') !== reason) return false
  if (match === undefined) return true
  const named = (logOf(kind) === 'revocations' ? event['match'] : event) as Record<
    string,
    ClaimValue
  >
  const claims = Object.entries(match)
  // The whole tenant is a match of its own.
  if (claims.length === 0) return Object.keys(event['match'] ?? { jti: 1 }).length === 0
  return claims.every(([name, value]) => named[name] === value)
}
