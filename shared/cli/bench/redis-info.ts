import { setTimeout as delay } from 'node:timers/promises'
import { parseRedisUrl } from '../../config/redis-url.ts'
import { createRedis } from '../../store/redis.ts'
import type { RedisClient } from '../../store/store.ts'
import type { Bench } from './bench-context.ts'

/** A connection of the bench's own. */
export function openRedis(bench: Bench): RedisClient {
  const redis = createRedis(parseRedisUrl(bench.engines.redisUrl), () => {})
  bench.scope.defer(() => redis.disconnect())
  return redis
}

export async function infoOf(redis: RedisClient, name: string): Promise<string> {
  const info = await redis.info()
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? ''
}

/** Bytes of what is stored: without what the connections and the unwritten part of the log take at the moment. */
export async function storedBytes(redis: RedisClient): Promise<number> {
  const info = await redis.info('memory')
  const number = (name: string): number =>
    Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  return number('used_memory') - number('mem_clients_normal') - number('mem_aof_buffer')
}

/** Waits until Redis is not rewriting its log, which takes a core for a while. */
export async function awaitRest(redis: RedisClient): Promise<void> {
  for (;;) {
    const info = await redis.info('persistence')
    if (!/^(?:aof_rewrite_in_progress|rdb_bgsave_in_progress):1/m.test(info)) return
    await delay(100)
  }
}

/**
 * Keeps a Redis of our own from rewriting its log until the scope is released: it would begin
 * somewhere in the middle of what is measured. A Redis that was lent is left as it is.
 */
export async function holdRewrites({ engines, scope }: Bench, redis: RedisClient): Promise<void> {
  if (engines.redis === undefined) return
  const name = 'auto-aof-rewrite-percentage'
  await redis.config('SET', name, '0')
  scope.defer(() => redis.config('SET', name, '100'))
}
