import { once } from 'node:events'
import type { Cluster, Redis } from 'ioredis'

/** A cluster's client fails every command until it has found the nodes, where one of a single Redis keeps it for a while. */
export async function whenReady(redis: Redis | Cluster, withinMs: number): Promise<void> {
  if (!redis.isCluster || redis.status === 'ready') return
  await once(redis, 'ready', { signal: AbortSignal.timeout(withinMs) })
}
