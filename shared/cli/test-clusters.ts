import { openEngines } from './engines/engines.ts'
import { startRabbitCluster } from './engines/rabbit-cluster.ts'
import { startRedisCluster } from './engines/redis-cluster.ts'
import { startSentinels } from './engines/redis-sentinels.ts'
import { showProgress } from './engines/progress.ts'
import { runSuites, type Suite } from './suites/run-suites.ts'
import { openProxy } from '../testing/tcp-proxy.ts'

/**
 * `npm run test:clusters [-- --only cluster|sentinel|failures] [mocha options or test files]`: runs the integration tests, or
 * those that are named, on three nodes of RabbitMQ with Redis Cluster, then with Redis behind Sentinel; then, with engines of
 * their own, the tests of what happens when nodes fail.
 */
const log = (line: string): void => console.error(line)
const args = process.argv.slice(2)
const onlyAt = args.indexOf('--only')
const only = onlyAt < 0 ? undefined : args.splice(onlyAt, 2)[1]
const tests = args.length > 0 ? args : ['test/integration']

interface RedisServers {
  readonly url: string
  stop(): Promise<void>
}

/** Clients come to the nodes in turn, as through a load balancer. */
async function openClusters(
  name: string,
  startServers: () => Promise<RedisServers>,
): ReturnType<Suite['open']> {
  const releases: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const release of releases.splice(0).toReversed()) await release()
  }
  try {
    const redis = await showProgress(log, name, startServers())
    releases.push(() => redis.stop())
    const rabbit = await showProgress(log, 'three nodes of RabbitMQ', startRabbitCluster())
    releases.push(() => rabbit.stop())
    let turn = 0
    const target = (): { host: string; port: number } => {
      turn += 1
      return { host: '127.0.0.1', port: rabbit.nodes[turn % rabbit.nodes.length]?.port ?? 0 }
    }
    const balancer = await openProxy({ target })
    releases.push(() => balancer.close())
    const env = { AMQP_URL: balancer.url(rabbit.nodes[0]?.url ?? ''), REDIS_URL: redis.url }
    const engines = await openEngines({ env, log })
    releases.push(() => engines.stop())
    return { ...engines, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const suites: Readonly<Record<string, Suite>> = {
  cluster: {
    name: 'RabbitMQ cluster, Redis Cluster',
    args: tests,
    open: () => openClusters('Redis Cluster', startRedisCluster),
  },
  sentinel: {
    name: 'RabbitMQ cluster, Redis Sentinel',
    args: tests,
    open: () => openClusters('Redis behind Sentinel', startSentinels),
  },
  failures: {
    name: 'nodes that fail',
    args: ['test/clusters'],
    open: () => openEngines({ env: {}, log }),
  },
}

const chosen = only === undefined ? Object.values(suites) : [suites[only]]
const known = chosen.filter((suite) => suite !== undefined)
if (known.length < chosen.length) {
  log(`--only takes one of ${Object.keys(suites).join(', ')}.`)
  process.exitCode = 2
} else {
  process.exitCode = await runSuites(known)
}
