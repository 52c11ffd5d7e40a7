import { logs } from '../shared/domain/position.ts'
import type { Drainer } from '../shared/relay/drainer.ts'
import type { DueChanges } from '../shared/relay/due-changes.ts'
import type { Relay } from '../shared/relay/relay.ts'
import type { FeedStore } from '../shared/store/feed-store.ts'
import type { Store } from '../shared/store/store.ts'
import type { UpkeepStore } from '../shared/store/upkeep-store.ts'

/** What one sweep found. What is overdue or unsent the push path had missed. */
export interface SweepReport {
  /** The store's time (ms) at the start. */
  readonly at: number
  readonly trigger: string
  readonly durationMs: number
  /** Tokens that were overdue on the wheel and are now announced. */
  readonly overdueTokens: number
  /** Holds whose `reviewBy` had passed and that are now over. */
  readonly overdueHolds: number
  /** Schedules whose time had passed and that are now made. */
  readonly overdueSchedules: number
  /** Entries that nobody had sent within the grace. */
  readonly unsentEntries: number
  /** Those of them that RabbitMQ has now confirmed. */
  readonly sentEntries: number
  /** Entries still waiting for RabbitMQ at the end. */
  readonly waitingEntries: number
  readonly prunedRules: number
  readonly trimmedEntries: number
}

export interface SweepParts {
  readonly store: Store
  readonly feed: FeedStore
  readonly upkeep: UpkeepStore
  readonly relay: Relay
  readonly drainer: Drainer
  readonly dueChanges: DueChanges
  readonly tenants: readonly string[]
  /** How long an entry may wait for the relays before the sweep sends it. */
  readonly graceMs: number
  /** How long sent entries are kept for pulling. */
  readonly retentionMs: number
}

/** A tick drains its second at once; one that is still there after this long was missed. */
const OVERDUE_MS = 2000
/** The most entries a feed keeps, whatever their age: it bounds the store's memory. */
const MAX_FEED_ENTRIES = 1_000_000

/** One pass over every shard of every tenant that finds and repairs what the push path missed. */
export class Sweeper {
  readonly #parts: SweepParts

  constructor(parts: SweepParts) {
    this.#parts = parts
  }

  async runOnce(trigger: string): Promise<SweepReport> {
    const { store, upkeep, relay, drainer, dueChanges, tenants, graceMs } = this.#parts
    const started = performance.now()
    const { at } = await store.touch(tenants[0] ?? 'default', 0)
    const overdueMs = Math.min(graceMs, OVERDUE_MS)
    const changed = await dueChanges.runOnce(overdueMs, 'everywhere')
    const { announced } = await drainer.runOnce(overdueMs)
    const { claimed, sent } = await relay.runOnce(graceMs)
    let prunedRules = 0
    let trimmedEntries = 0
    let waitingEntries = 0
    for (const tenant of tenants) {
      for (let shard = 0; shard < store.shards; shard++) {
        prunedRules += await upkeep.pruneRules(tenant, shard)
        const done = await this.#trim(tenant, shard)
        trimmedEntries += done.trimmed
        waitingEntries += done.waiting
      }
    }
    const report: SweepReport = {
      at,
      trigger,
      durationMs: Math.round(performance.now() - started),
      overdueTokens: announced,
      overdueHolds: changed.holds,
      overdueSchedules: changed.schedules,
      unsentEntries: claimed,
      sentEntries: sent,
      waitingEntries,
      prunedRules,
      trimmedEntries,
    }
    await upkeep.saveReport(at, JSON.stringify(report))
    return report
  }

  async #trim(tenant: string, shard: number): Promise<{ trimmed: number; waiting: number }> {
    const { feed, upkeep, retentionMs } = this.#parts
    let trimmed = 0
    let waiting = 0
    for (const log of logs) {
      trimmed += await upkeep.trimFeed(tenant, log, shard, retentionMs, MAX_FEED_ENTRIES)
      waiting += await feed.countUnsent(tenant, log, shard)
    }
    return { trimmed, waiting }
  }
}
