import { carries, matchKey, type Claims, type Header, type Match } from './claims.ts'
import type { Position } from './position.ts'
import type { Reason } from './reasons.ts'

/** Tokens with `iat <= issuedBefore` (any `iat` where it is null) die, but for those that carry `except`. */
export interface Cutoff {
  readonly id: string
  readonly issuedBefore: number | null
  readonly except?: Match
}

/** The complete state of one match as it travels on the wire. Lifted rules have no cut-off and are not held. */
export interface Rule {
  readonly match: Match
  readonly cutoffs?: readonly Cutoff[]
  readonly held?: boolean
  readonly holdId?: string
  readonly reviewBy?: number
  readonly outcome?: 'release' | 'revoke'
  /** NumericDate seconds after which no token this rule could kill is alive; null: never. */
  readonly until: number | null
  readonly reason?: Reason
  /** Ids of cut-offs and holds that were lifted. */
  readonly lifted?: readonly string[]
  /** Whatever terms before this one hold is lifted, also what the store itself has lost. */
  readonly liftedBefore?: number
  /** Holds of terms before this one are over, also those that the store itself has lost. */
  readonly releasedBefore?: number
}

/** A rule as it was written at one position. */
export interface RuleVersion {
  readonly position: Position
  readonly rule: Rule
}

/** What the versions of one match amount to. */
export interface Effect {
  readonly cutoffs: readonly (Cutoff & { readonly reason?: Reason })[]
  readonly held: boolean
  readonly heldReason?: Reason
  readonly until: number | null
}

/** Whether `a` kills every token that `b` kills (equal exceptions are compared as text: enough to leave a cut-off off the wire). */
function dominates(a: Cutoff, b: Cutoff): boolean {
  const reaches =
    a.issuedBefore === null || (b.issuedBefore !== null && a.issuedBefore >= b.issuedBefore)
  if (!reaches) return false
  if (a.except === undefined) return true
  return b.except !== undefined && matchKey(a.except) === matchKey(b.except)
}

/** A view that packs plain revocations keeps an id only up to its index in the entry: such an id ends in `-`. */
function isLifted(id: string, lifted: ReadonlySet<string>): boolean {
  if (!id.endsWith('-')) return lifted.has(id)
  for (const other of lifted) if (other.startsWith(id)) return true
  return false
}

/**
 * Adds a version to those known of the same match: within one term the highest `seq` wins, and one
 * version per term is kept, newest term first. The result is the same for every order and
 * repetition. Returns the same array where nothing changed.
 */
export function addVersion(
  versions: readonly RuleVersion[],
  added: RuleVersion,
): readonly RuleVersion[] {
  const { term, seq } = added.position
  const at = versions.findIndex((version) => version.position.term <= term)
  if (at === -1) return [...versions, added]
  const found = versions[at]
  if (found === undefined || found.position.term !== term) {
    return [...versions.slice(0, at), added, ...versions.slice(at)]
  }
  return found.position.seq >= seq ? versions : versions.with(at, added)
}

/**
 * Leaves out the oldest versions whose own `until` lies before `now` (NumericDate): they can cover no
 * living token, but a hold that the store has lost would go on covering new ones for as long as
 * newer versions keep the match. Never one that an older one still needs. Returns the same array
 * where nothing changed.
 */
export function withoutDead(versions: readonly RuleVersion[], now: number): readonly RuleVersion[] {
  let kept = versions.length
  while (kept > 1) {
    const until = versions[kept - 1]?.rule.until
    if (until === null || until === undefined || until >= now) break
    kept -= 1
  }
  return kept === versions.length ? versions : versions.slice(0, kept)
}

function latest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.max(a, b)
}

/**
 * What a list of versions, newest term first, amounts to. A store that lost writes starts a new
 * term; a rule rewritten there must not undo what the lost term had said. So whatever an older
 * term holds stays, unless it is present in, dominated by or lifted by a newer one.
 */
export function effectOf(versions: readonly RuleVersion[]): Effect {
  const first = versions[0]
  const cutoffs: (Cutoff & { reason?: Reason })[] = []
  const lifted = new Set<string>()
  let held = false
  let heldReason: Reason | undefined
  let until: number | null = first ? first.rule.until : 0
  let liftedBefore = 0
  let releasedBefore = 0
  for (const { position, rule } of versions) {
    const reason = rule.reason
    until = latest(until, rule.until)
    liftedBefore = Math.max(liftedBefore, rule.liftedBefore ?? 0)
    releasedBefore = Math.max(releasedBefore, rule.releasedBefore ?? 0)
    if (position.term < liftedBefore) continue
    for (const id of rule.lifted ?? []) lifted.add(id)
    const newer = cutoffs.length
    for (const cutoff of rule.cutoffs ?? []) {
      const known = cutoffs.slice(0, newer)
      if (known.some((other) => other.id === cutoff.id || dominates(other, cutoff))) continue
      if (isLifted(cutoff.id, lifted)) continue
      cutoffs.push(reason === undefined ? cutoff : { ...cutoff, reason })
    }
    if (rule.held !== true || held || position.term < releasedBefore) continue
    if (rule.holdId === undefined || !lifted.has(rule.holdId)) {
      held = true
      heldReason = reason
    }
  }
  return heldReason === undefined ? { cutoffs, held, until } : { cutoffs, held, heldReason, until }
}

/** The cut-off that leaves no token of the match alive, whenever it was or will be issued. */
export function wholeCutoff<C extends Cutoff>(cutoffs: readonly C[]): C | undefined {
  return cutoffs.find(({ issuedBefore, except }) => issuedBefore === null && except === undefined)
}

export function isLive(effect: Effect): boolean {
  return effect.held || effect.cutoffs.length > 0
}

/** What an effect says of a token whose claims carry the rule's match. */
export function verdictOf(
  effect: Effect,
  claims: Claims,
  header: Header | undefined,
): { code: 'revoked' | 'held'; reason?: Reason } | undefined {
  const iat =
    typeof claims['iat'] === 'number' ? Math.floor(claims['iat']) : Number.NEGATIVE_INFINITY
  for (const cutoff of effect.cutoffs) {
    if (cutoff.issuedBefore !== null && iat > cutoff.issuedBefore) continue
    if (cutoff.except !== undefined && carries(cutoff.except, claims, header)) continue
    return cutoff.reason === undefined
      ? { code: 'revoked' }
      : { code: 'revoked', reason: cutoff.reason }
  }
  if (!effect.held) return undefined
  return effect.heldReason === undefined
    ? { code: 'held' }
    : { code: 'held', reason: effect.heldReason }
}
