import { Cluster, type Redis } from 'ioredis'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { createBullRedis, createRedis } from '../../shared/store/redis.ts'
import type { RedisClient } from '../../shared/store/store.ts'
import { eventually } from './eventually.ts'

/** A client as Knell's processes have it; of a cluster one that waits with its first command until it has found the nodes. */
export function openRedis(url: string): RedisClient {
  const target = parseRedisUrl(url)
  return target.kind === 'cluster'
    ? createBullRedis(target, () => {})
    : createRedis(target, () => {})
}

/** Every server that holds keys of its own. */
export async function serversOf(redis: RedisClient): Promise<readonly Redis[]> {
  if (!(redis instanceof Cluster)) return [redis]
  // Its first answer tells that it knows them.
  await redis.ping()
  return redis.nodes('master')
}

/** The keys of this pattern, in order, wherever they lie. */
export async function keysOf(redis: RedisClient, pattern: string): Promise<string[]> {
  const found = await Promise.all((await serversOf(redis)).map((server) => server.keys(pattern)))
  return found.flat().sort()
}

/** Deletes them one by one: in a cluster a command has the keys of one slot. */
export async function deleteKeys(redis: RedisClient, pattern: string): Promise<void> {
  const keys = await keysOf(redis, pattern)
  await Promise.all(keys.map((key) => redis.del(key)))
}

/** No server writes for so long; what is sent meanwhile is answered after it. */
export async function pauseWrites(redis: RedisClient, ms: number): Promise<void> {
  const servers = await serversOf(redis)
  await Promise.all(servers.map((server) => server.call('CLIENT', 'PAUSE', `${ms}`, 'WRITE')))
}

/** Waits until everything acknowledged is in the append-only file: while the disk is slow that takes up to two seconds. */
export async function written(server: Redis): Promise<void> {
  await eventually(async () => /^aof_buffer_length:0\r?$/m.test(await server.info('persistence')), {
    what: 'the append-only file to be written',
  })
}
