import { logs } from '../shared/domain/position.ts'
import type { RepairReport } from './handler-repair.ts'
import type { Drainer } from '../shared/relay/drainer.ts'
import type { Relay } from '../shared/relay/relay.ts'
import type { FeedStore } from '../shared/store/feed-store.ts'
import type { Store } from '../shared/store/store.ts'
import type { UpkeepStore } from '../shared/store/upkeep-store.ts'

/** What one sweep found. Whatever the first three count, the push path had missed; `RepairReport` counts what services had. */
export interface SweepReport extends RepairReport {
  /** The store's time (ms) at the start. */
  readonly at: number
  readonly trigger: string
  readonly durationMs: number
  /** Tokens that were overdue on the wheel and are now announced. */
  readonly overdueTokens: number
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
  /** Absent: what services did not handle is not sent to them again. */
  readonly handlerRepair?: { runOnce(): Promise<RepairReport> }
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

const NOTHING_REPAIRED: RepairReport = {
  resentEntries: 0,
  unroutableEntries: 0,
  closedEntries: 0,
  lostEntries: 0,
  openEntries: 0,
}

/** One pass over every shard of every tenant that finds and repairs what the push path missed. */
export class Sweeper {
  readonly #parts: SweepParts

  constructor(parts: SweepParts) {
    this.#parts = parts
  }

  async runOnce(trigger: string): Promise<SweepReport> {
    const { store, upkeep, relay, drainer, handlerRepair, tenants, graceMs } = this.#parts
    const started = performance.now()
    const { at } = await store.touch(tenants[0] ?? 'default', 0)
    const { announced } = await drainer.runOnce(Math.min(graceMs, OVERDUE_MS))
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
    const repaired = (await handlerRepair?.runOnce()) ?? NOTHING_REPAIRED
    const report: SweepReport = {
      at,
      trigger,
      durationMs: Math.round(performance.now() - started),
      overdueTokens: announced,
      unsentEntries: claimed,
      sentEntries: sent,
      waitingEntries,
      prunedRules,
      trimmedEntries,
      ...repaired,
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
