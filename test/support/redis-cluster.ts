import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { eventually } from './eventually.ts'

/**
 * One node that owns every slot of a Redis Cluster: it refuses a script that touches a key outside
 * the slot of those it declared, and a client must speak the cluster's protocol to it. `nodes` is
 * its address as the list that makes a client do so.
 */
export async function startRedisCluster(): Promise<{ redis: PrivateEngine; nodes: string }> {
  const redis = await startRedis({
    args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'],
  })
  const client = createRedis(parseRedisUrl(redis.url), () => {})
  await client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await eventually(async () =>
    String(await client.call('CLUSTER', 'INFO')).includes('cluster_state:ok'),
  )
  client.disconnect()
  return { redis, nodes: `${redis.url},${redis.url}` }
}
