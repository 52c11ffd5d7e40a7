import type { AuditStream } from './audit-store.ts'
import { logs, type Log } from '../domain/position.ts'
import { toStoreError } from './store-error.ts'
import type { Store } from './store.ts'

/** So much is cleared away by one script. */
export const UPKEEP_BATCH = 500
/** A call ends after this many batches; the next one goes on. */
const MAX_BATCHES = 200

/** What of a shard there is to look after. */
export interface UpkeepPlace {
  readonly tenant: string
  readonly shard: number
  /** Rules past their `until`. */
  readonly dead: boolean
  /** Audit streams: which of the shard's there are. */
  readonly audit: readonly AuditStream[]
  /** The logs that hold entries. */
  readonly logs: readonly Log[]
  /** Entries that RabbitMQ has not confirmed. */
  readonly unsent: number
}

/** What the sweep clears away. */
export class UpkeepStore {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /** What there is to look after, by plain reads, since with many tenants most shards have nothing. `now`: the store's, in ms. */
  async places(tenants: readonly string[], now: number): Promise<UpkeepPlace[]> {
    const shards = Array.from({ length: this.#store.shards }, (_, shard) => shard)
    const places = tenants.flatMap((tenant) => shards.map((shard) => ({ tenant, shard })))
    const before = String(Math.floor(now / 1000))
    const counts = await this.#store.readAll(
      places.flatMap(({ tenant, shard }): [string, ...string[]][] => {
        const { until, feed, unsent, audit, traffic, bulk } = this.#store.keys.shard(tenant, shard)
        return [
          ['zcount', until, '-inf', `(${before}`],
          ['exists', feed.revocations],
          ['exists', feed.expiries],
          ['zcard', unsent.revocations],
          ['zcard', unsent.expiries],
          ['exists', audit],
          ['exists', traffic],
          ['exists', bulk],
        ]
      }),
    )
    return places.map((place, i) => {
      const [dead, revocations, expiries, revUnsent, expUnsent, ...streams] = counts
        .slice(8 * i, 8 * i + 8)
        .map(Number)
      return {
        ...place,
        dead: dead !== 0,
        logs: logs.filter((log) => (log === 'revocations' ? revocations : expiries) !== 0),
        audit: (['audit', 'traffic', 'bulk'] as const).filter((_, place) => streams[place] !== 0),
        unsent: (revUnsent || 0) + (expUnsent || 0),
      }
    })
  }

  /** Drops rules that no living token could need. Returns how many. */
  async pruneRules(tenant: string, shard: number, batches: number = MAX_BATCHES): Promise<number> {
    const keys = this.#store.keys.shard(tenant, shard)
    return inBatches(batches, async () => {
      const [gone] = await this.#store.run(
        'pruneRules',
        [keys.meta, keys.rules, keys.until, keys.ids, keys.kids, keys.holds],
        [UPKEEP_BATCH],
      )
      return Number(gone)
    })
  }

  /** Trims sent entries older than the retention, and the oldest past `keep` entries. Returns how many. */
  async trimFeed(
    tenant: string,
    log: Log,
    shard: number,
    retentionMs: number,
    keep: number,
    batches: number = MAX_BATCHES,
  ): Promise<number> {
    const keys = this.#store.keys.shard(tenant, shard)
    return inBatches(batches, async () => {
      const [gone] = await this.#store.run(
        'trimFeed',
        [keys.meta, keys.feed[log], keys.unsent[log]],
        [log === 'revocations' ? 'rev' : 'exp', retentionMs, UPKEEP_BATCH, keep],
      )
      return Number(gone)
    })
  }

  /** Notes that a sweep begins; answers its number. @throws KnellError `store_*` */
  async beginSweep(): Promise<number> {
    return this.#store.ask((redis) => redis.incr(this.#store.keys.sweepsBegun))
  }

  /** How many sweeps have begun. @throws KnellError `store_*` */
  async sweepsBegun(): Promise<number> {
    return Number((await this.#store.ask((redis) => redis.get(this.#store.keys.sweepsBegun))) ?? 0)
  }

  /** Keeps a sweep's report for a day. @throws KnellError `store_*` */
  async saveReport(at: number, report: string): Promise<void> {
    const { sweeps } = this.#store.keys
    const results = await this.#store.ask((redis) =>
      redis
        .multi()
        .zadd(sweeps, at, report)
        .zremrangebyscore(sweeps, '-inf', at - 86_400_000)
        .exec(),
    )
    for (const [error] of results ?? []) if (error !== null) throw toStoreError(error)
  }

  /** The reports of sweeps that began at or after a store time (ms), the newest first, some thousands at most. @throws KnellError `store_*` */
  async reportsSince(at: number): Promise<string[]> {
    const { sweeps } = this.#store.keys
    return this.#store.ask((redis) => redis.zrevrangebyscore(sweeps, '+inf', at, 'LIMIT', 0, 4000))
  }

  /** The newest reports first. @throws KnellError `store_*` */
  async reports(limit: number): Promise<string[]> {
    const { sweeps } = this.#store.keys
    return this.#store.ask((redis) => redis.zrange(sweeps, 0, String(limit - 1), 'REV'))
  }
}

async function inBatches(batches: number, run: () => Promise<number>): Promise<number> {
  let total = 0
  for (let i = 0; i < batches; i++) {
    const done = await run()
    total += done
    if (done < UPKEEP_BATCH) break
  }
  return total
}
