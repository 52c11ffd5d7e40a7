import type { Claims } from './claims.ts'
import { MAX_GENERATION } from './refresh-token.ts'

/** What a family of refresh tokens is about; it never changes, but for `claims`. */
export interface FamilyFacts {
  readonly sub: string
  readonly client_id: string
  readonly sid: string
  readonly aud: string | readonly string[]
  readonly scope?: string
  /** Further claims of its access tokens. */
  readonly claims?: Claims
  /** The life of its access tokens in seconds; absent: the setting's. */
  readonly seconds?: number
}

/** Why a family is over before its end. */
export type FamilyDeath = 'reuse' | 'logout'

/** How far a family has got. */
export interface FamilyState {
  /** The generation of the newest token. */
  readonly generation: number
  /** The hash of the newest token, and of the one it was rotated from, empty for the first. */
  readonly current: string
  readonly previous: string
  /** When it was last rotated, by the store, in ms. */
  readonly rotatedAt: number
  /** NumericDate: the `iat` it is judged by. */
  readonly startedAt: number
  /** NumericDate: from then on no token of it is good. */
  readonly endsAt: number
  readonly dead?: FamilyDeath
}

/** A token of the family that was proved to be ours. */
export interface Presented {
  readonly generation: number
  readonly hash: string
}

/**
 * - `rotate`: it is the newest, or newer than what the store knows, which then was rolled back.
 * - `same`: it was rotated just now, so the answer was lost or two came at once: the same successor again.
 * - `reuse`: it was used before, by somebody else or by a thief. The family must die.
 * - `dead`, `ended`: nothing of the family is good any more.
 * - `unknown`: no token like it was ever given out. It kills nobody.
 */
export type RefreshPlan = 'rotate' | 'same' | 'reuse' | 'dead' | 'ended' | 'unknown'

/** What becomes of a refresh token that comes. */
export const refreshOutcomes = [
  'rotated',
  'repeated',
  'reused',
  'revoked',
  'held',
  'ended',
  'invalid',
  'failed',
] as const

export type RefreshOutcome = (typeof refreshOutcomes)[number]

/** What is to be done with a token at the store's time `now` (ms); the store's script decides in the same way. */
export function planRefresh(
  family: FamilyState,
  { generation, hash }: Presented,
  now: number,
  graceMs: number,
): RefreshPlan {
  if (family.dead !== undefined) return 'dead'
  if (now >= family.endsAt * 1000 || generation >= MAX_GENERATION) return 'ended'
  const behind = family.generation - generation
  if (behind < 0) return 'rotate'
  if (behind === 0) return hash === family.current ? 'rotate' : 'unknown'
  const isInGrace = behind === 1 && now - family.rotatedAt < graceMs
  if (!isInGrace) return 'reuse'
  return hash === family.previous ? 'same' : 'unknown'
}

/** The claims by which the rules judge a family: a token that was issued when it began. */
export function claimsOfFamily(
  issuer: string,
  { sub, client_id, sid, aud, claims }: FamilyFacts,
  startedAt: number,
): Claims {
  return { ...claims, iss: issuer, sub, client_id, sid, aud, iat: startedAt }
}
