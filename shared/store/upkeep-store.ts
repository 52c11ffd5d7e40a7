import type { Log } from '../domain/position.ts'
import type { Store } from './store.ts'

const BATCH = 500
/** A pass ends after this many batches, so that it stays short; the next pass goes on. */
const MAX_BATCHES = 200

/** What the sweep clears away. */
export class UpkeepStore {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /** Drops rules that no living token could need. Returns how many. */
  async pruneRules(tenant: string, shard: number): Promise<number> {
    const keys = this.#store.keys.shard(tenant, shard)
    return inBatches(async () => {
      const [gone] = await this.#store.run(
        'pruneRules',
        [keys.meta, keys.rules, keys.until, keys.ids, keys.kids, keys.holds],
        [BATCH],
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
  ): Promise<number> {
    const keys = this.#store.keys.shard(tenant, shard)
    return inBatches(async () => {
      const [gone] = await this.#store.run(
        'trimFeed',
        [keys.meta, keys.feed[log], keys.unsent[log]],
        [log === 'revocations' ? 'rev' : 'exp', retentionMs, BATCH, keep],
      )
      return Number(gone)
    })
  }

  /** Keeps a sweep's report for a day. */
  async saveReport(at: number, report: string): Promise<void> {
    const { sweeps } = this.#store.keys
    await this.#store.redis
      .multi()
      .zadd(sweeps, at, report)
      .zremrangebyscore(sweeps, '-inf', at - 86_400_000)
      .exec()
  }

  /** The newest reports first. */
  async reports(limit: number): Promise<string[]> {
    return this.#store.redis.zrange(this.#store.keys.sweeps, 0, String(limit - 1), 'REV')
  }
}

async function inBatches(run: () => Promise<number>): Promise<number> {
  let total = 0
  for (let i = 0; i < MAX_BATCHES; i++) {
    const done = await run()
    total += done
    if (done < BATCH) break
  }
  return total
}
