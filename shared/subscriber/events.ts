import type { Claims, Header } from '../domain/claims.ts'
import type { DeathCode } from '../domain/death.ts'
import type { Decision, DecisionCode } from '../domain/decision.ts'
import type { ExpiryEvent, Kind } from '../domain/entry.ts'
import type { KnellError } from '../domain/errors.ts'
import type { Log } from '../domain/position.ts'
import type { RefusedWhy } from './refusals.ts'
import type { Rule } from '../domain/rule.ts'

/** Where an event comes from. */
export interface EventSource {
  readonly tenant: string
  readonly kind: Kind
  readonly shard: number
  readonly epoch: string
  readonly seq: number
  /** The store's time of the commit (ms). */
  readonly at: number
}

export interface SubscriberEvents {
  revoked: [Rule, EventSource]
  held: [Rule, EventSource]
  released: [Rule, EventSource]
  restored: [Rule, EventSource]
  /** A registered token's `exp` has come. Heard by every instance that listens. */
  expired: [ExpiryEvent, EventSource]
  /** A registered token's `exp` is `inSeconds` away, as the tenant's lead times say. */
  expiring: [ExpiryEvent, EventSource]
  /** The first snapshot of a tenant has been applied. */
  ready: [string]
  /** A tenant's view is older than `maxStaleness`. */
  stale: [string, number]
  /** It no longer is. */
  fresh: [string]
  /** The push path came up, or went down (pulling goes on). */
  push: ['up' | 'down']
  /** An entry of revocations has changed the view, so many ms after its commit by the store's clock. */
  applied: [EventSource, number]
  /** A handler has ended, after so many ms. */
  ran: [Kind, number]
  /** A delivery's events are handled, or lie where they are tried again or given up. */
  settled: [HandledCounts]
  /** Something went wrong that is being dealt with. */
  problem: [KnellError]
}

/** What became of the events of one delivery. */
export interface HandledCounts {
  readonly handled: number
  /** Failed, or without a handler here: they are tried again. */
  readonly retried: number
  /** Given up: among the dead letters. */
  readonly dead: number
  /** Not tried, or not to the end, since this instance is closing. */
  readonly postponed: number
}

/** What `verify` found: a decision, with the claims where the signature was good. */
export interface VerifyResult extends Decision {
  readonly claims?: Claims
  readonly header?: Header
  /** The tenant whose keys the signature was good for. */
  readonly tenant?: string
}

/** How old the newest store state is that a view provably contains. */
export interface Freshness {
  readonly asOf: number
  readonly staleMs: number
  readonly awaitedMs: number | null
}

export interface SubscriberStats {
  readonly instance: string
  readonly push: 'up' | 'down'
  readonly checks: Readonly<Partial<Record<DecisionCode, number>>>
  readonly pushed: number
  /** Entries that were pulled, and how many pulls there were. */
  readonly pulled: number
  readonly pulls: number
  readonly snapshots: number
  readonly invalid: number
  /**
   * What was not believed, by why. `replayed` also counts copies of what the view contained
   * already, of which RabbitMQ and the relay make a few by themselves.
   */
  readonly refused: Readonly<Record<RefusedWhy, number>>
  readonly trimmed: number
  readonly rules: number
  /** The highest contiguous positions of each log, summed over shards and tenants; of expiries only where they are followed. */
  readonly positions: Readonly<Record<Log, number>>
  /** Bytes of the packed part of the views: rules that only revoke a uuid `jti`. */
  readonly packedBytes: number
  /** Tokens that a signal or a watch waits for. */
  readonly watched: number
  /** Tokens whose death a signal or a watch has told; in `observe` mode would have. */
  readonly deaths: Readonly<Record<DeathCode, number>>
}
