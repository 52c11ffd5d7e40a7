/** What a stale or not yet ready view answers for a token that no known rule covers. */
export type WhenStale = 'reject' | 'allow' | 'ask'

const whenStaleValues: readonly WhenStale[] = ['reject', 'allow', 'ask']

/** How stale a view may be for one call or route, and what happens past that. */
export interface Policy {
  /** ms after which the view's state counts as stale. */
  readonly maxStaleness: number
  readonly whenStale: WhenStale
}

/** A policy in part: what is left out is as `connect` was told. */
export type PolicyOptions = Partial<Policy>

/** Lists what is wrong with a policy. */
export function problemsOfPolicy(policy: PolicyOptions): string[] {
  const problems: string[] = []
  const { maxStaleness = 1, whenStale = 'reject' } = policy
  if (!Number.isFinite(maxStaleness) || maxStaleness <= 0) {
    problems.push('maxStaleness must be a number of ms above 0')
  }
  if (!whenStaleValues.includes(whenStale)) {
    problems.push("whenStale must be 'reject', 'allow' or 'ask'")
  }
  return problems
}
