import type { RepairReport } from './handler-repair.ts'
import type { Drainer } from '../shared/relay/drainer.ts'
import type { DueChanges } from '../shared/relay/due-changes.ts'
import type { Relay } from '../shared/relay/relay.ts'
import { rotate } from '../shared/relay/rotate.ts'
import type { AuditStore } from '../shared/store/audit-store.ts'
import type { InstanceStore } from '../shared/store/instance-store.ts'
import type { Store } from '../shared/store/store.ts'
import { UPKEEP_BATCH, type UpkeepPlace, type UpkeepStore } from '../shared/store/upkeep-store.ts'

/** What one sweep found. What is overdue or unsent the push path had missed; `RepairReport` counts what services had. */
export interface SweepReport extends RepairReport {
  /** The store's time (ms) at the start. */
  readonly at: number
  readonly trigger: string
  /** Counts the sweeps of all pollers, in the order in which they began. */
  readonly run: number
  readonly durationMs: number
  /** Tokens that were overdue on the wheel and are now announced. */
  readonly overdueTokens: number
  /** Tokens whose announcement before `exp` was overdue and is now made. */
  readonly overdueExpiring: number
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
  /** Audit records past their days. */
  readonly trimmedRecords: number
  /** Younger audit records that had to go since a shard keeps no more. */
  readonly cutRecords: number
  /** Instances of subscribers that were not heard of for longer than they may go on without news. */
  readonly silentInstances: number
}

export interface SweepParts {
  readonly store: Store
  readonly upkeep: UpkeepStore
  readonly instances: InstanceStore
  readonly auditStore: AuditStore
  readonly relay: Relay
  readonly drainer: Drainer
  readonly dueChanges: DueChanges
  /** Absent: what services did not handle is not sent to them again. */
  readonly handlerRepair?: { runOnce(): Promise<RepairReport> }
  /** Absent: no tokens are issued. */
  readonly ringKeeper?: { runOnce(at: number): Promise<void> } | undefined
  readonly tenants: readonly string[]
  /** How long an entry may wait for the relays before the sweep sends it. */
  readonly graceMs: number
  readonly auditDays: number
  readonly auditMax: number
  /** How long sent entries are kept for pulling. */
  readonly retentionMs: number
}

/** A tick drains its second at once; one that is still there after this long was missed. */
const OVERDUE_MS = 2000
/** The most entries a feed keeps, whatever their age: it bounds the store's memory. */
const MAX_FEED_ENTRIES = 1_000_000

/** So many shards are cleared at once. */
const AT_ONCE = 8
/** Clearing ends after this long; the next sweep goes on. */
const CLEAR_MS = 10_000
interface Cleared {
  prunedRules: number
  trimmedEntries: number
  trimmedRecords: number
  cutRecords: number
}

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
    const { store, upkeep, instances, relay, drainer, dueChanges, tenants, graceMs } = this.#parts
    const started = performance.now()
    const run = await upkeep.beginSweep()
    const { at } = await store.touch(tenants[0] ?? 'default', 0)
    const overdueMs = Math.min(graceMs, OVERDUE_MS)
    const changed = await dueChanges.runOnce(overdueMs, 'everywhere')
    const drained = await drainer.runOnce(overdueMs)
    const relayed = await relay.runOnce(graceMs)
    const places = await upkeep.places(tenants, at)
    const cleared: Cleared = {
      prunedRules: 0,
      trimmedEntries: 0,
      trimmedRecords: 0,
      cutRecords: 0,
    }
    const options = { atOnce: AT_ONCE, forMs: CLEAR_MS }
    const { failed } = await rotate(places, options, (place) => this.#clear(place, cleared))
    await this.#clearOwn(at, cleared)
    const pruned = await instances.pruneAll(tenants)
    const ringProblem = await this.#keepRings(at)
    const repaired = (await this.#parts.handlerRepair?.runOnce()) ?? NOTHING_REPAIRED
    const report: SweepReport = {
      at,
      trigger,
      run,
      durationMs: Math.round(performance.now() - started),
      overdueTokens: drained.announced,
      overdueExpiring: drained.expiring,
      overdueHolds: changed.holds,
      overdueSchedules: changed.schedules,
      unsentEntries: relayed.claimed,
      sentEntries: relayed.sent,
      waitingEntries: places.reduce((sum, { unsent }) => sum + unsent, 0),
      ...cleared,
      silentInstances: pruned.gone,
      ...repaired,
    }
    await upkeep.saveReport(at, JSON.stringify(report))
    // A shard that fails keeps the sweep from no other, but it is told.
    const problem =
      drained.problem ?? relayed.problem ?? pruned.problem ?? ringProblem ?? [...failed.values()][0]
    if (problem !== undefined) throw problem
    return report
  }

  /** What went wrong with the signing keys must not keep the rest of the sweep from its report. */
  async #keepRings(at: number): Promise<Error | undefined> {
    try {
      await this.#parts.ringKeeper?.runOnce(at)
      return undefined
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  /** Clears away one batch of each kind in a shard; says whether there may be more. */
  async #clear(
    { tenant, shard, dead, logs, audit }: UpkeepPlace,
    cleared: Cleared,
  ): Promise<boolean> {
    const { upkeep, retentionMs } = this.#parts
    const pruned = dead ? await upkeep.pruneRules(tenant, shard, 1) : 0
    cleared.prunedRules += pruned
    let most = pruned
    for (const log of logs) {
      const trimmed = await upkeep.trimFeed(tenant, log, shard, retentionMs, MAX_FEED_ENTRIES, 1)
      cleared.trimmedEntries += trimmed
      most = Math.max(most, trimmed)
    }
    let isMore = most >= UPKEEP_BATCH
    const { auditStore, auditDays, auditMax } = this.#parts
    for (const stream of audit) {
      const { old, cut } = await auditStore.trim(stream, tenant, shard, auditDays, auditMax)
      cleared.trimmedRecords += old
      cleared.cutRecords += cut
      isMore ||= old + cut >= UPKEEP_BATCH
    }
    return isMore
  }

  /** The audit trail of what concerns no single tenant. */
  async #clearOwn(at: number, cleared: Cleared): Promise<void> {
    const { auditStore, auditDays, auditMax } = this.#parts
    const { old, cut } = await auditStore.trimOwn(at, auditDays, auditMax)
    cleared.trimmedRecords += old
    cleared.cutRecords += cut
  }
}
