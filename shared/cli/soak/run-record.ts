import { matchKey, type Claims, type Match } from '../../domain/claims.ts'
import type { Kind } from '../../domain/entry.ts'
import type { RevocationCall, SampleToken } from '../../testing/history.ts'
import { LASTING_TENANT } from './stage.ts'

/** Tokens of the lasting tenant outlive every run. */
const LIFE_SECONDS = 7200

/** A revocation or hold that was acknowledged and stays. */
export interface Made {
  readonly tenant: string
  /** A token that it kills. */
  readonly claims: Claims
  /** When the answer came, by the clock that the store reads as well (ms). */
  readonly ackedAt: number
}

export interface Registered {
  readonly tenant: string
  readonly jti: string
  readonly exp: number
}

/** What the workload has done, as its callers know it. */
export class RunRecord {
  /** `iat` and `exp` of the tokens that are asked for. */
  readonly life: { readonly iat: number; readonly exp: number }
  readonly acknowledged: RevocationCall[] = []
  readonly unknown: RevocationCall[] = []
  readonly spared: SampleToken[] = []
  /** Tokens that no call has ever named. */
  readonly untouched: Claims[] = []
  readonly made: Made[] = []
  readonly registered: Registered[] = []
  /** What each service's handlers must have been given, as they note it. */
  readonly owed: Set<string> = new Set()
  /** Broken promises that showed while it ran. */
  readonly found: string[] = []
  readonly counts: Record<string, number> = {}

  constructor(nowMs: number) {
    const iat = Math.floor(nowMs / 1000) - 60
    this.life = { iat, exp: iat + LIFE_SECONDS }
  }

  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by
  }

  /** A revocation or hold that stands. */
  stands(tenant: string, kind: 'revoked' | 'held', match: Match, claims: Claims): void {
    this.made.push({ tenant, claims, ackedAt: Date.now() })
    this.owes(tenant, kind, matchKey(match))
    if (tenant === LASTING_TENANT) this.acknowledged.push({ match })
  }

  owes(tenant: string, kind: Kind, what: string): void {
    this.owed.add(handledLine(tenant, kind, what))
  }
}

/** As `service.ts` notes an event that was handled. */
function handledLine(tenant: string, kind: Kind, what: string): string {
  return JSON.stringify([tenant, kind, what])
}
