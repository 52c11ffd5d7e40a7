import type { TurnLimits } from '../domain/fair-turns.ts'

/** What one caller may have under way in one process, so that its flood leaves room for the others. */
export interface Limits {
  /** Failed authentications from one address within the window; what fails beyond is answered 429. */
  readonly failures: number
  readonly failuresWindowMs: number
  /** Ordinary calls of one API key at once. */
  readonly callsPerKey: number
  /** Calls of `GET /v1/feed` of one API key at once, long polls nearly all of them. */
  readonly pollsPerKey: number
  /** Streams of the dashboard of one API key at once. */
  readonly streamsPerKey: number
  /** Revocations of one API key that wait to be enforced. */
  readonly waitsPerKey: number
  /** Exports of the audit trail of one API key at once. */
  readonly exportsPerKey: number
  /** Snapshots: read at once, of one API key at once, and waiting of one API key. */
  readonly snapshots: TurnLimits
}

export const LIMITS: Limits = {
  failures: 20,
  failuresWindowMs: 10_000,
  callsPerKey: 2000,
  pollsPerKey: 5000,
  streamsPerKey: 50,
  waitsPerKey: 500,
  exportsPerKey: 4,
  snapshots: { places: 16, each: 8, waiting: 1000, waitingInAll: 5000, reserved: 100 },
}
