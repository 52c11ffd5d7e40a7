import { audiencesOf, MAX_AUDIENCES, type Claims, type Header } from './claims.ts'
import type { ErrorCode } from './errors.ts'
import { LEEWAY_SECONDS, ttlAt, type TtlStep } from './max-token-ttl.ts'
import type { Reason } from './reasons.ts'

/** What a check found. Every code but `active` refuses the token. */
export type DecisionCode =
  | 'active'
  | 'revoked'
  | 'held'
  | 'expired'
  | 'stale'
  | 'not_ready'
  | 'token_too_long_lived'
  | 'header_needed'
  | 'iat_required'
  | 'iat_in_future'
  | 'exp_required'
  | 'too_many_audiences'
  | 'unknown_issuer'
  | TokenErrorCode

/** Why `verify` refused a token before any rule was asked (RFC 8725). */
export type TokenErrorCode = Extract<ErrorCode, `token_${string}`>

export interface Decision {
  /** Whether to let the token in. In `observe` mode always true. */
  readonly active: boolean
  readonly code: DecisionCode
  /** Why the token was revoked or held, where the rule says so. */
  readonly reason?: Reason
  /** The store time (ms since the Unix epoch) of the newest store state this decision provably rests on; 0: none yet. */
  readonly asOf: number
  /** The age of that state in ms. Infinity before the first snapshot. */
  readonly staleMs: number
  readonly decidedBy: 'view' | 'store' | 'policy'
  /** Present, and true, where `observe` mode let in what it would have refused. */
  readonly observed?: true
}

export type Verdict =
  { readonly code: DecisionCode; readonly reason?: Reason } | { readonly code: 'active' }

/**
 * Judges what needs no rule: the times of a token (RFC 7519, sections 4.1.4 and 4.1.6) against the
 * store's `now` (NumericDate seconds, fractions allowed) and the tenant's longest life. A token
 * that lives longer than any rule is kept would come back to life, so it is refused.
 */
export function judgeTimes(
  claims: Claims,
  now: number,
  steps: readonly TtlStep[],
): DecisionCode | undefined {
  const { exp, iat } = claims
  if (typeof exp !== 'number' || !Number.isFinite(exp)) return 'exp_required'
  if (exp <= now) return 'expired'
  if (typeof iat !== 'number' || !Number.isFinite(iat)) return 'iat_required'
  if (iat > now + LEEWAY_SECONDS) return 'iat_in_future'
  const longest = ttlAt(steps, iat)
  if (longest !== undefined && exp - iat > longest) return 'token_too_long_lived'
  const { aud } = claims
  if (Array.isArray(aud) && audiencesOf(claims).length > MAX_AUDIENCES) return 'too_many_audiences'
  return undefined
}

/** A store of rules that can say whether a live one covers a token. */
export interface RuleSource {
  verdict(
    claims: Claims,
    header: Header | undefined,
  ): { readonly code: 'revoked' | 'held' | 'header_needed'; readonly reason?: Reason } | undefined
}

const ACTIVE: Verdict = { code: 'active' }

/** The whole judgement of one token: its times, then the rules. */
export function judge(
  claims: Claims,
  header: Header | undefined,
  now: number,
  steps: readonly TtlStep[],
  rules: RuleSource,
): Verdict {
  const code = judgeTimes(claims, now, steps)
  if (code !== undefined) return { code }
  return rules.verdict(claims, header) ?? ACTIVE
}
