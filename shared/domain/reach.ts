import type { Match } from './claims.ts'

/** Claims that narrow a match to one user, session or token. */
const NARROW = ['jti', 'sid', 'sub']

/**
 * Whether revoking by a match reaches beyond one user, session or token. A rule that names `kid` makes
 * checks without a header wait for one, so it is nobody's private matter.
 */
export function isMass(match: Match): boolean {
  return !NARROW.some((claim) => claim in match) || 'kid' in match
}
