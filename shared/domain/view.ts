import type { Beat, Tail, Tails } from './beat.ts'
import type { Claims, Header } from './claims.ts'
import { judge, type Verdict } from './decision.ts'
import type { Entry, ExpiryEvent } from './entry.ts'
import { positionOf } from './entry.ts'
import { LogTracker, type Arrival } from './log-tracker.ts'
import type { TtlStep } from './max-token-ttl.ts'
import type { PlainRun } from './plain-run.ts'
import { termOf, type Log, type Position } from './position.ts'
import type { Rule } from './rule.ts'
import { RuleTable } from './rule-table.ts'

/** The first line of a snapshot. */
export interface SnapshotHead {
  readonly tenant: string
  readonly at: number
  readonly tails: Tails
  readonly maxTokenTtl: readonly TtlStep[]
  /** How often beats are meant to come, in ms, where the store's side says so. */
  readonly beatMs?: number
}

/** One answer of the feed. */
export interface FeedPage {
  readonly tenant: string
  readonly log: Log
  readonly at: number
  readonly tails: readonly Tail[]
  readonly entries: readonly Entry[]
  /** Whether the store holds further entries that did not fit. */
  readonly more: boolean
  /** Shards whose feed no longer reaches back to the position asked for. */
  readonly trimmed: readonly number[]
}

export interface Applied {
  readonly arrival: Arrival
  /** Rules that this entry made newer. */
  readonly rules: readonly Rule[]
  /** Expiries heard for the first time, but for announcements of what has expired meanwhile. */
  readonly expiries: readonly ExpiryEvent[]
}

/** What is to be done after hearing a beat or a page. */
export type Standing = 'reached' | 'behind' | 'foreign' | 'older'

const NOTHING: readonly never[] = []
const MAX_PENDING_BEATS = 16

/**
 * A service instance's memory of all live rules of one tenant: pure state, fed with entries,
 * beats, pages and snapshots in any order, as often as they come. It never forgets a rule that the
 * store may have lost; rules only go when their `until` has passed.
 */
export class View {
  readonly tenant: string
  readonly rules: RuleTable
  readonly revocations: LogTracker = new LogTracker({ keepsEarly: true })
  readonly expiries: LogTracker = new LogTracker({ keepsEarly: false })
  #shards = 0
  #steps: readonly TtlStep[] = []
  #asOf = 0
  #pending: { at: number; tails: readonly Tail[] }[] = []
  #ready = false
  #needsSnapshot = true
  /** The store time (ms) of the newest entry of expiries heard: whatever `exp` lies before it has passed. */
  #expiriesAt = 0

  constructor(tenant: string, options: { seed?: number } = {}) {
    this.tenant = tenant
    this.rules = new RuleTable(options)
  }

  /** Whether a snapshot has been applied whole since the start. */
  get ready(): boolean {
    return this.#ready
  }

  /** Whether the store has entered an epoch of which this view has no snapshot yet. */
  get needsSnapshot(): boolean {
    return this.#needsSnapshot
  }

  /** The store time (ms) of the newest store state this view provably contains. */
  get asOf(): number {
    return this.#asOf
  }

  get shards(): number {
    return this.#shards
  }

  get maxTokenTtl(): readonly TtlStep[] {
    return this.#steps
  }

  tracker(log: Log): LogTracker {
    return log === 'revocations' ? this.revocations : this.expiries
  }

  /** The position after which to ask for each shard. */
  positions(log: Log): Position[] {
    return this.tracker(log).positions(this.#shards)
  }

  apply(entry: Entry): Applied {
    const position = positionOf(entry)
    if (entry.log === 'expiries') {
      const arrival = this.expiries.note(entry.shard, entry.epoch, entry.seq)
      const heard = arrival === 'next' || arrival === 'ahead'
      if (!heard) return { arrival, rules: NOTHING, expiries: NOTHING }
      this.#expiriesAt = Math.max(this.#expiriesAt, entry.at)
      // Delivery reorders, and `expiring` must not be heard after `expired`.
      const expiries =
        entry.kind === 'expiring'
          ? entry.events.filter(({ exp }) => exp * 1000 > this.#expiriesAt)
          : entry.events
      return { arrival, rules: NOTHING, expiries }
    }
    const rules = entry.events.filter((rule) => this.rules.put(entry.shard, position, rule))
    const arrival = this.revocations.note(entry.shard, entry.epoch, entry.seq)
    if (arrival === 'foreign') this.#needsSnapshot = true
    if (arrival === 'next') this.#settle()
    return { arrival, rules, expiries: NOTHING }
  }

  /** One rule of a snapshot, at the position it was last written at. */
  putRule(shard: number, position: Position, rule: Rule): boolean {
    return this.rules.put(shard, position, rule)
  }

  /** As many plain rules of a snapshot. Calls `onNew` with the place in the run of each that was new. */
  putRun(run: PlainRun, onNew: (at: number) => void): void {
    this.rules.putRun(run, onNew)
  }

  /** To be called when a snapshot has come whole, with the head it began with. */
  endSnapshot(head: SnapshotHead): void {
    this.#shards = head.tails.revocations.length
    this.#steps = head.maxTokenTtl
    if (head.tails.revocations[0]?.epoch !== this.revocations.epoch(0)) {
      // Another store, perhaps with another clock: times of the old one say nothing about this one.
      this.#asOf = 0
      this.#pending = []
    }
    for (const [shard, tail] of head.tails.revocations.entries())
      this.revocations.reach(shard, tail)
    this.#ready = true
    this.#needsSnapshot = this.revocations.compare(head.tails.revocations) === 'foreign'
    this.#contain(head.at, head.tails.revocations)
  }

  /** From here on expiries are followed: everything up to these tails lies before this listener's time. */
  startExpiries(tails: readonly Tail[]): void {
    for (const [shard, tail] of tails.entries()) this.expiries.reach(shard, tail)
  }

  hear(beat: Beat): Standing {
    const standing = this.revocations.compare(beat.tails.revocations)
    if (standing === 'older') return standing
    this.#steps = beat.maxTokenTtl
    if (standing === 'foreign') this.#needsSnapshot = true
    this.#contain(beat.at, beat.tails.revocations)
    return standing
  }

  /**
   * Applies a page of the feed. `older` means that the answer lacks what this view already knows,
   * so it must not count as fresh and another source is to be asked.
   */
  applyPage(page: FeedPage): { standing: Standing; applied: readonly Applied[] } {
    const tracker = this.tracker(page.log)
    const applied: Applied[] = []
    for (const entry of page.entries) {
      // Expiries are followed in the order of the feed, across epochs: it is the announcements that matter, not a state.
      if (page.log === 'expiries' && entry.epoch !== tracker.epoch(entry.shard)) {
        tracker.reach(entry.shard, { epoch: entry.epoch, seq: entry.seq - 1 })
      }
      applied.push(this.apply(entry))
    }
    if (page.log === 'expiries') {
      for (const [shard, tail] of page.tails.entries()) {
        if (!page.more && termOf(tail.epoch) !== undefined) tracker.reach(shard, tail)
      }
      return { standing: page.more ? 'behind' : 'reached', applied }
    }
    const standing = tracker.compare(page.tails)
    if (standing === 'older' || (standing === 'reached' && tracker.isBefore(page.tails))) {
      return { standing: 'older', applied }
    }
    if (standing === 'foreign' || page.trimmed.length > 0) this.#needsSnapshot = true
    else this.#contain(page.at, page.tails)
    return { standing, applied }
  }

  /** This store state counts as contained once its tails are reached. */
  #contain(at: number, tails: readonly Tail[]): void {
    if (at <= this.#asOf) return
    this.#pending.push({ at, tails })
    // The oldest is the next to be reached and the newest says most, so what lies between gives way.
    if (this.#pending.length > MAX_PENDING_BEATS) this.#pending.splice(-2, 1)
    this.#settle()
  }

  #settle(): void {
    if (!this.#ready || this.#pending.length === 0) return
    this.#pending = this.#pending.filter(({ at, tails }) => {
      const standing = this.revocations.compare(tails)
      if (standing === 'reached' && at > this.#asOf) this.#asOf = at
      return standing !== 'reached' && standing !== 'older'
    })
  }

  /** `now`: the earliest the store's clock can show, NumericDate seconds. */
  judge(claims: Claims, header: Header | undefined, now: number): Verdict {
    return judge(claims, header, now, this.#steps, this.rules)
  }
}
