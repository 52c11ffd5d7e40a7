import { matchKey, type Match } from '../domain/claims.ts'
import type { Reason } from '../domain/reasons.ts'
import type { WireChange } from './rule-commit.ts'
import { parseStored } from './stored-json.ts'

interface Asking {
  /** Whether views are asked to say at once that they have applied it. */
  readonly ack?: boolean
}

/** What a revocation asks for, its times still open where the store's clock is to decide. */
export interface RevokeChange extends Asking {
  readonly op: 'revoke'
  readonly match: Match
  readonly reason?: Reason
  /** Explicit cut-off (NumericDate), or null for "any iat"; absent: the match's default. */
  readonly issuedBefore?: number | null
  readonly except?: Match
  /** The `exp` of a token whose signature was verified. */
  readonly verifiedExp?: number
  readonly ttlSeconds: number
  readonly skewSeconds: number
}

export type Outcome = 'release' | 'revoke'

/** A hold of every token of a match, until it is released or `reviewBy` (NumericDate) brings its outcome. */
export interface HoldChange extends Asking {
  readonly op: 'hold'
  readonly match: Match
  readonly reason?: Reason
  readonly reviewBy: number
  readonly outcome: Outcome
  readonly ttlSeconds: number
  readonly skewSeconds: number
}

export interface ReleaseChange {
  readonly op: 'release'
  readonly match: Match
  readonly ttlSeconds: number
  /** Also where the store knows no hold of the match: it may have lost one that views still have. */
  readonly force?: boolean
}

export type RestoreChange =
  | {
      readonly op: 'restore'
      readonly match: Match
      readonly ttlSeconds: number
      /** Also where the store knows no rule of the match: it may have lost one that views still hold. */
      readonly force?: boolean
    }
  | { readonly op: 'restore'; readonly id: string; readonly shard: number }

export interface Committed {
  /** The id of the revocation or hold, or the ids that a restore or release lifted. */
  readonly ids: readonly string[]
  readonly shard: number
  readonly epoch: string
  readonly seq: number
  readonly issuedBefore?: number | null
  readonly until?: number | null
  readonly reviewBy?: number
  readonly outcome?: Outcome
  /** The match that a restore or release was about. */
  readonly match?: Match
}

/** Which default cut-off a match has: `kid`, then `sid`, then `jti`, whichever it names first. */
export function cutoffKindOf(match: Match): 'kid' | 'sid' | 'jti' | 'other' {
  if ('kid' in match) return 'kid'
  if ('sid' in match) return 'sid'
  return 'jti' in match ? 'jti' : 'other'
}

/** A change as the commit script takes it. */
export function toWire(
  change: RevokeChange | HoldChange | ReleaseChange | RestoreChange,
): WireChange {
  if (!('match' in change)) return { op: change.op, id: change.id }
  const common = {
    op: change.op,
    m: matchKey(change.match),
    t: cutoffKindOf(change.match),
    ttl: change.ttlSeconds,
  }
  if (change.op === 'restore' || change.op === 'release') {
    return { ...common, force: change.force === true }
  }
  const made = {
    ...common,
    r: change.reason ?? 'other',
    skew: change.skewSeconds,
    ...(change.ack === true ? { ack: true } : {}),
  }
  if (change.op === 'hold') return { ...made, rb: change.reviewBy, o: change.outcome }
  const { issuedBefore, except, verifiedExp } = change
  return {
    ...made,
    ...(issuedBefore === undefined ? {} : { b: issuedBefore ?? -1 }),
    ...(except === undefined ? {} : { x: matchKey(except) }),
    ...(verifiedExp === undefined ? {} : { jx: Math.ceil(verifiedExp) }),
  }
}

export function toRevoked(shard: number, answer: string): Committed {
  const [seq, id, issuedBefore, until, epoch] = answer.split(' ')
  return {
    ids: [String(id)],
    shard,
    epoch: String(epoch),
    seq: Number(seq),
    issuedBefore: toNumberOrNull(issuedBefore),
    until: toNumberOrNull(until),
  }
}

export function toHeld(shard: number, answer: string): Committed {
  const [seq, id, reviewBy, outcome, until, epoch] = answer.split(' ')
  return {
    ids: [String(id)],
    shard,
    epoch: String(epoch),
    seq: Number(seq),
    reviewBy: Number(reviewBy),
    outcome: outcome as Outcome,
    until: toNumberOrNull(until),
  }
}

export function toLifted(shard: number, answer: string): Committed {
  const [seq, epoch, ids, ...match] = answer.split(' ')
  return {
    ids: ids === '-' || ids === undefined ? [] : ids.split(','),
    shard,
    epoch: String(epoch),
    seq: Number(seq),
    match: parseStored(match.join(' ')) as Match,
  }
}

function toNumberOrNull(text: string | undefined): number | null {
  return text === undefined || text === 'null' ? null : Number(text)
}
