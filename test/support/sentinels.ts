import { Redis } from 'ioredis'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkout } from '../../shared/cli/checkout.ts'
import { findRedis } from '../../shared/cli/engines/find-binaries.ts'
import { freePort } from '../../shared/cli/engines/free-port.ts'
import {
  openFolder,
  startOnFreePorts,
  type PrivateEngine,
} from '../../shared/cli/engines/private-engine.ts'
import { redisAnswers } from '../../shared/cli/engines/private-redis.ts'
import type { Certificate } from './certificates.ts'
import { eventually } from './eventually.ts'
import type { TlsEngine } from './tls-engines.ts'

const CONFIG_DIR = join(checkout, 'docs/deploy/compose')

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
    await eventually(async () => (await client.info('replication')).includes('link_status:up'))
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
      { timeoutMs: 60_000, intervalMs: 100, what: 'the Sentinels to know everybody' },
    )
  } finally {
    client.disconnect()
  }
}

/** One Sentinel that watches a primary at `localhost`, and speaks TLS only with clients that show a certificate. */
export async function startTlsSentinel(
  primaryPort: number,
  server: Certificate,
  ca: Certificate,
): Promise<TlsEngine> {
  const tlsPort = await freePort()
  const engine = await startOnFreePorts(async () => {
    const port = await freePort()
    const dir = await openFolder('redis', undefined)
    const config = join(dir.path, 'sentinel.conf')
    const lines = [
      `dir ${dir.path}`,
      `port ${port}`,
      `tls-port ${tlsPort}`,
      `tls-cert-file ${server.certFile}`,
      `tls-key-file ${server.keyFile}`,
      `tls-ca-cert-file ${ca.certFile}`,
      'tls-auth-clients yes',
      'tls-replication yes',
      'sentinel resolve-hostnames yes',
      'sentinel announce-hostnames yes',
      `sentinel monitor knell localhost ${primaryPort} 1`,
    ]
    await writeFile(config, `${lines.join('\n')}\n`)
    const command = findRedis()
    if (command === undefined) throw new Error('No redis-server was found on this machine.')
    return {
      name: 'redis',
      url: `redis://127.0.0.1:${port}`,
      port,
      dir,
      command,
      args: [config, '--sentinel'],
      env: { PATH: process.env['PATH'], LANG: 'C.UTF-8' },
      answers: (pid) => redisAnswers(port, pid),
    }
  }, 1)
  return { engine, tlsPort }
}
