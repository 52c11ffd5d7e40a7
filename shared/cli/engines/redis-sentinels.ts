import { Redis } from 'ioredis'
import { join } from 'node:path'
import { eventually } from '../../testing/eventually.ts'
import { checkout } from '../checkout.ts'
import { freePort } from './free-port.ts'
import { openFolder, startOnFreePorts, type PrivateEngine } from './private-engine.ts'
import { redisAnswers } from './private-redis.ts'

const CONFIG_DIR = join(checkout, 'docs/deploy/compose')

/** How long Sentinels may take to find each other, on a machine that is busy. */
const READY = { timeoutMs: 60_000, intervalMs: 100 }

/** A primary, its replicas and Sentinels, run by the scripts and configurations that docker-compose.yml mounts. */
export interface Sentinels {
  /** `redis+sentinel://…` */
  readonly url: string
  /** The first is the primary at first. */
  readonly nodes: readonly PrivateEngine[]
  stop(): Promise<void>
}

type Env = Readonly<Record<string, string>>

function run(script: string, env: Env): Promise<PrivateEngine> {
  return startOnFreePorts(async () => {
    const port = await freePort()
    const dir = await openFolder('redis', undefined)
    return {
      name: 'redis',
      url: `redis://127.0.0.1:${port}`,
      port,
      dir,
      command: 'sh',
      args: [join(CONFIG_DIR, script)],
      env: {
        PATH: process.env['PATH'],
        LANG: 'C.UTF-8',
        CONFIG_DIR,
        DATA_DIR: dir.path,
        PORT: `${port}`,
        ANNOUNCE: '127.0.0.1',
        ...env,
      },
      answers: (pid) => redisAnswers(port, pid),
    }
  }, 3)
}

export async function startSentinels(replicas = 2, watchers = 3): Promise<Sentinels> {
  const engines: PrivateEngine[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(engines.map((engine) => engine.stop()))
  }
  const runAll = async (count: number, script: string, env: Env): Promise<PrivateEngine[]> => {
    const started = await Promise.allSettled(Array.from({ length: count }, () => run(script, env)))
    const good = started.flatMap((one) => ('value' in one ? [one.value] : []))
    engines.push(...good)
    for (const one of started) if (one.status === 'rejected') throw one.reason
    return good
  }
  try {
    const [first] = await runAll(1, 'redis-node.sh', {})
    const primary = `127.0.0.1 ${first?.port}`
    const nodes = await runAll(replicas, 'redis-node.sh', { REPLICA_OF: primary })
    await Promise.all(nodes.map((node) => follows(node)))
    if (first) await takesWrites(first, replicas)
    const guards = await runAll(watchers, 'sentinel.sh', { PRIMARY: primary })
    await Promise.all(guards.map((guard) => knowsAll(guard, replicas, watchers - 1)))
    const hosts = guards.map(({ port }) => `127.0.0.1:${port}`)
    return {
      url: `redis+sentinel://${hosts.join(',')}/knell`,
      nodes: engines.slice(0, 1 + replicas),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function follows(node: PrivateEngine): Promise<void> {
  const client = new Redis(node.port, '127.0.0.1', { enableReadyCheck: false })
  try {
    const up = async (): Promise<boolean> =>
      (await client.info('replication')).includes('link_status:up')
    await eventually(up, { ...READY, what: 'a replica to follow' })
  } finally {
    client.disconnect()
  }
}

/** Until replicas have told it how far they are, the primary takes no writes. */
async function takesWrites(primary: PrivateEngine, replicas: number): Promise<void> {
  const client = new Redis(primary.port, '127.0.0.1')
  try {
    const good = `min_slaves_good_slaves:${replicas}`
    const ready = async (): Promise<boolean> => (await client.info('replication')).includes(good)
    await eventually(ready, { ...READY, what: 'the primary to count its replicas' })
  } finally {
    client.disconnect()
  }
}

/** A Sentinel that does not know of the replicas could promote none. */
async function knowsAll(guard: PrivateEngine, replicas: number, others: number): Promise<void> {
  const client = new Redis(guard.port, '127.0.0.1', { enableReadyCheck: false })
  const count = async (what: string): Promise<number> =>
    ((await client.call('SENTINEL', what, 'knell')) as unknown[]).length
  try {
    await eventually(
      async () => (await count('replicas')) === replicas && (await count('sentinels')) === others,
      { ...READY, what: 'the Sentinels to know everybody' },
    )
  } finally {
    client.disconnect()
  }
}
