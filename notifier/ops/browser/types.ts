import type { Problem } from './api.ts'
import type { Match } from './format.ts'

/** What the calls of the API answer, as far as the dashboard shows it. */

/** An event of the stream whose call was refused, or is not there. */
export interface Refused {
  readonly problem: Problem
}

export function isRefused(data: object): data is Refused {
  return 'problem' in data
}

/** The events of the stream, and what each carries. */
export interface Topics {
  readonly health: Health
  readonly overview: Overview | Refused
  readonly subscribers: Subscribers | Refused
  readonly recent: Recent | Refused
  readonly queues: Queues | Refused
  readonly sweeps: Sweeps | Refused
  readonly due: Due | Refused
}

export interface Health {
  readonly status: 'ok' | 'degraded' | 'failing'
  readonly store: { readonly ok: boolean; readonly problem?: string }
  readonly broker: { readonly ok: boolean; readonly blocked: boolean; readonly problem?: string }
}

export interface Position {
  readonly term: number
  readonly seq: number
}

export interface Instance {
  readonly service: string
  readonly instance: string
  readonly state: 'joining' | 'ready' | 'stale' | 'leaving' | 'gone'
  readonly joinedAt: number
  readonly lastSeenMs: number
  readonly maxStalenessMs: number | null
  readonly asOf: number
  readonly staleMs: number | null
  readonly behind: number | null
  readonly applied: readonly Position[]
  readonly user?: string
  readonly key?: string
}

export interface HandlerMark {
  readonly log: string
  readonly shard: number
  readonly open: number
}

export interface HandlerService {
  readonly service: string
  readonly kinds: readonly string[]
  readonly maxAttempts: number
  readonly marks: readonly HandlerMark[]
}

export interface Subscribers {
  readonly tenant: string
  readonly at: number
  readonly tails: readonly { readonly epoch: string; readonly seq: number }[]
  readonly subscribers: readonly Instance[]
  readonly handlers: readonly HandlerService[]
}

export interface SweepReport {
  readonly at: number
  readonly trigger: string
  readonly durationMs: number
  readonly overdueTokens: number
  readonly overdueExpiring: number
  readonly overdueHolds: number
  readonly overdueSchedules: number
  readonly unsentEntries: number
  readonly sentEntries: number
  readonly waitingEntries: number
  readonly prunedRules: number
  readonly trimmedEntries: number
  readonly silentInstances: number
  readonly resentEntries: number
  readonly closedEntries: number
  readonly lostEntries: number
}

export interface Sweeps {
  readonly sweeps: readonly SweepReport[]
}

export interface Overview {
  readonly at: number
  readonly enforced: {
    readonly verdict: Verdict
    readonly reason: string
    readonly live: number | null
    readonly stale: number | null
    readonly slowest: Slowest | null
  }
  readonly push: {
    readonly p50Ms: number | null
    readonly p99Ms: number | null
    readonly count: number
    readonly hour: readonly {
      readonly at: number
      readonly p50Ms: number | null
      readonly p99Ms: number | null
      readonly count: number
    }[]
  }
  readonly expiriesPerSecond: number | null
  readonly hourExpiries: readonly { readonly at: number; readonly perSecond: number | null }[]
  readonly outbox: Readonly<Record<'revocations' | 'expiries', { readonly unsent: number }>> | null
  readonly tokensWaiting: number | null
  readonly rules: number | null
  readonly sweeps: { readonly caught: number; readonly lastAt: number | null } | null
}

export type Slowest = Pick<Instance, 'service' | 'instance' | 'behind' | 'staleMs'>

export interface Due {
  readonly at: number
  readonly minutes: readonly number[]
  readonly overdue: number
}

export interface RecentItem {
  readonly at: number
  readonly tenant: string
  readonly shard: number
  readonly epoch: string
  readonly seq: number
  readonly kind: string
  readonly match: Match
  readonly reason?: string
  readonly live: number
  readonly applied: number
  readonly missing: readonly { readonly service: string; readonly instance: string }[]
  readonly pushMs: number | null
  readonly enforcedMs: number | null
}

export interface Recent {
  readonly recent: readonly RecentItem[]
}

export type Verdict = 'ok' | 'degraded' | 'failing'
/** Of a part of the queues: nobody may be able to tell. */
export type PartVerdict = Verdict | 'unknown'

export interface Queues {
  readonly at: number
  readonly verdict: Verdict
  readonly reason: string
  readonly parts: readonly {
    readonly part: string
    readonly verdict: PartVerdict
    readonly reason: string
  }[]
  readonly queues: readonly QueueRow[]
  readonly bullmq: readonly {
    readonly queue: string
    readonly counts: Readonly<Record<string, number>>
  }[]
  readonly feed: readonly {
    readonly log: string
    readonly tail: number
    readonly unsent: number
    readonly oldestUnsentMs: number | null
  }[]
  readonly rabbitmq: { readonly up: boolean; readonly unknown: readonly string[] }
  readonly offered: Readonly<Record<string, { readonly state: string; readonly reason: string }>>
}

export interface QueueRow {
  readonly name: string
  readonly service?: string
  readonly kind: 'service' | 'retry' | 'dead' | 'instance'
  readonly messages: number | null
  readonly ready?: number
  readonly unacked?: number
  readonly consumers: number | null
  readonly source: string
}

/** What a service's handlers gave up, as `GET /v1/dead` answers it. */
export interface DeadLetter {
  readonly key: string
  readonly tenant: string
  readonly service: string
  readonly kind?: string
  readonly attempts?: number
  readonly deadAt?: number
  readonly event?: Readonly<Record<string, unknown>>
  readonly error?: { readonly name: string; readonly message: string; readonly code?: string }
}

export interface AuditRecord {
  readonly id: string
  readonly at: number
  readonly tenant: string | null
  readonly action: string
  readonly who: { readonly key: string | null; readonly by?: string; readonly client?: string }
  readonly from: { readonly address: string | null; readonly via: string }
  readonly match?: Match
  readonly reason?: string
  readonly note?: string
  readonly cause?: string
  readonly details?: Readonly<Record<string, unknown>>
  readonly result: {
    readonly ok: boolean
    readonly code?: string
    readonly [member: string]: unknown
  }
}
