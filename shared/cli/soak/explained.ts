import { keySpaceOf } from '../../store/keys.ts'
import type { RedisClient } from '../../store/store.ts'
import type { Explained } from './leaks.ts'
import { SHARDS, TENANTS, type Stage } from './stage.ts'

/** What the store must still hold: the rules that live, and the entries that the feed keeps. */
export async function explainedBy({ engines }: Stage, redis: RedisClient): Promise<Explained> {
  const keys = keySpaceOf(engines.namespace)
  let [rules, entries] = [0, 0]
  for (const tenant of TENANTS) {
    for (let shard = 0; shard < SHARDS; shard++) {
      const { rules: hash, feed } = keys.shard(tenant, shard)
      rules += await redis.hlen(hash)
      entries += (await redis.xlen(feed.revocations)) + (await redis.xlen(feed.expiries))
    }
  }
  return { rules, entries }
}
