import { Redis } from 'ioredis'
import { eventually } from '../../testing/eventually.ts'
import { freePort } from './free-port.ts'
import type { PrivateEngine } from './private-engine.ts'
import { startRedis } from './private-redis.ts'

export interface RedisCluster {
  /** The list of all nodes, as `REDIS_URL` takes it. */
  readonly url: string
  /** Masters at first; the replica of each has the same place among `replicas`. */
  readonly masters: readonly PrivateEngine[]
  readonly replicas: readonly PrivateEngine[]
  stop(): Promise<void>
}

const MASTERS = 3
const SLOTS = 16_384
const READY = { timeoutMs: 60_000, intervalMs: 100 }

/** How long a node may be silent until another takes its place. */
const NODE_TIMEOUT_MS = 5_000

interface Node {
  readonly engine: PrivateEngine
  readonly busPort: number
  readonly client: Redis
}

/**
 * Three masters with a replica each, on loopback. No `min-replicas-to-write`: after a fail-over the new master has no replica.
 * Resolves when every node knows of all.
 */
export async function startRedisCluster(): Promise<RedisCluster> {
  const nodes: Node[] = []
  const stop = async (): Promise<void> => {
    for (const { client } of nodes) client.disconnect()
    await Promise.all(nodes.map(({ engine }) => engine.stop()))
  }
  try {
    const started = await Promise.allSettled(Array.from({ length: 2 * MASTERS }, startNode))
    for (const one of started) if (one.status === 'fulfilled') nodes.push(one.value)
    for (const one of started) if (one.status === 'rejected') throw one.reason
    await join(nodes)
    for (const { client } of nodes) client.disconnect()
    const engines = nodes.map(({ engine }) => engine)
    return {
      url: engines.map(({ url }) => url).join(','),
      masters: engines.slice(0, MASTERS),
      replicas: engines.slice(MASTERS),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startNode(): Promise<Node> {
  const busPort = await freePort()
  const settings = {
    'cluster-enabled': 'yes',
    'cluster-port': `${busPort}`,
    'cluster-announce-ip': '127.0.0.1',
    'cluster-node-timeout': `${NODE_TIMEOUT_MS}`,
    'cluster-require-full-coverage': 'no',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const engine = await startRedis({ args })
  const client = new Redis(engine.port, '127.0.0.1', { enableReadyCheck: false })
  client.on('error', () => {})
  return { engine, busPort, client }
}

async function join(nodes: readonly Node[]): Promise<void> {
  const masters = nodes.slice(0, MASTERS)
  const share = Math.ceil(SLOTS / MASTERS)
  for (const [index, { client }] of masters.entries()) {
    const last = Math.min((index + 1) * share, SLOTS) - 1
    await client.call('CLUSTER', 'ADDSLOTSRANGE', `${index * share}`, `${last}`)
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', `${index + 1}`)
  }
  const [first, ...others] = nodes
  for (const { engine, busPort } of others) {
    await first?.client.call('CLUSTER', 'MEET', '127.0.0.1', `${engine.port}`, `${busPort}`)
  }
  const isJoined = async ({ client }: Node): Promise<boolean> => {
    const info = String(await client.call('CLUSTER', 'INFO'))
    return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes.length}`)
  }
  const all = async (is: (node: Node) => Promise<boolean>): Promise<boolean> =>
    (await Promise.all(nodes.map(is))).every(Boolean)
  await eventually(() => all(isJoined), { ...READY, what: 'the Redis nodes to meet' })
  for (const [index, { client }] of nodes.slice(MASTERS).entries()) {
    const id = String(await masters[index]?.client.call('CLUSTER', 'MYID'))
    await client.call('CLUSTER', 'REPLICATE', id)
  }
  const isLinked = async ({ client }: Node): Promise<boolean> => {
    const [info, view] = await Promise.all([
      client.info('replication'),
      client.call('CLUSTER', 'NODES'),
    ])
    const inTouch = /master_link_status:up|slave0:.*state=online/.test(info)
    return inTouch && (String(view).match(/\bslave /g)?.length ?? 0) === nodes.length - MASTERS
  }
  await eventually(() => all(isLinked), { ...READY, what: 'each Redis to have its replica' })
}
