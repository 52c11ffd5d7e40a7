import type { Claims, Header } from './claims.ts'
import type { RuleSource } from './decision.ts'
import type { Reason } from './reasons.ts'

export type DeathCode = 'revoked' | 'held' | 'expired'

/** That a token has died, and why, where the rule says so. */
export interface Death {
  readonly code: DeathCode
  readonly reason?: Reason
}

const EXPIRED: Death = { code: 'expired' }

/**
 * Whether a token has died at `now`, the earliest the store's clock can show (NumericDate seconds).
 * What else a check may refuse is no death: a header that is missing, or times that break the rules.
 */
export function deathOf(
  claims: Claims,
  header: Header | undefined,
  now: number,
  rules: RuleSource,
): Death | undefined {
  const { exp } = claims
  if (typeof exp === 'number' && exp <= now) return EXPIRED
  const verdict = rules.verdict(claims, header)
  if (verdict === undefined || verdict.code === 'header_needed') return undefined
  const { code, reason } = verdict
  return reason === undefined ? { code } : { code, reason }
}
