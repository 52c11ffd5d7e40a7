import { randomUUID } from 'node:crypto'
import { readFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { spawnKnell, type KnellProcess } from '../processes.ts'
import { knellEnv, openNotifier, secret, type Bench } from './bench-context.ts'
import { Caller } from './caller.ts'
import { openChild, type Child } from './child.ts'
import { clockMs } from './clock.ts'
import type { Fleet } from './fleet.ts'
import { openRedis } from './redis-info.ts'
import type { CaseResult } from './result.ts'
import { quantile, show } from './statistics.ts'

/** Linux counts a process's time in ticks of 10 ms. */
const TICK_MS = 10
const WAITS = 20

/** What a crowd costs: many view instances of one tenant, then many tenants of one instance. */
export async function runCrowd(bench: Bench): Promise<CaseResult> {
  const { scope, sizes, say } = bench
  const { instances, processes, tenants: count, seconds } = sizes.crowd
  say(`crowd: ${instances} instances`)
  const notifier = await openNotifier(bench)
  const share = Math.ceil(instances / processes)
  const fleets = Array.from({ length: processes }, () => openFleet(bench))
  for (const fleet of fleets) {
    await fleet.call('start', optionsOf(bench, notifier, share, ['default']))
  }
  const caller = new Caller(notifier.url, secret, { sockets: 1 })
  scope.defer(() => caller.close())
  const many = await load(bench, notifier, seconds)
  const waits: number[] = []
  for (let i = 0; i < WAITS; i++) {
    const started = clockMs()
    const body = { match: { jti: randomUUID() }, wait: { for: 'all', timeoutMs: 20_000 } }
    const { enforced } = (await caller.post('/v1/revocations', body)) as {
      enforced?: { done: boolean; live: number }
    }
    if (enforced?.done !== true) throw new Error(`Not enforced: ${JSON.stringify(enforced)}`)
    waits.push(clockMs() - started)
  }
  for (const fleet of fleets) await fleet.stop()
  await notifier.stop()

  say(`crowd: ${count} tenants`)
  const tenants = Array.from({ length: count }, (_, i) => `tenant-${i}`)
  const crowded = await openCrowded(bench, tenants)
  const fleet = openFleet(bench)
  await fleet.call('start', optionsOf(bench, crowded, 1, tenants))
  await delay(3000)
  const wide = await load(bench, crowded, seconds)
  const oldestMs = await fleet.call('oldestMs', tenants)
  return {
    record: {
      case: 'crowd',
      unit: 'ms',
      knell: {
        instances: share * processes,
        waitAllP50: quantile(waits, 0.5),
        instancesNotifierCpu: many.notifier,
        instancesRedisCpu: many.redis,
        tenants: count,
        tenantsNotifierCpu: wide.notifier,
        tenantsRedisCpu: wide.redis,
        tenantsOldestMs: oldestMs,
      },
    },
    rows: [
      {
        what: `${show(share * processes)} instances at rest: notifier, Redis, % of a core`,
        knell: `${show(100 * many.notifier)}, ${show(100 * many.redis)}`,
      },
      { what: `wait: all of them, p50 ms`, knell: show(quantile(waits, 0.5)) },
      {
        what: `${show(count)} tenants at rest: notifier, Redis, % of a core`,
        knell: `${show(100 * wide.notifier)}, ${show(100 * wide.redis)}`,
      },
      { what: 'the oldest of their views, ms', knell: show(oldestMs) },
    ],
    notes: [
      `Over ${seconds} s at rest, with a beat each 2 s. The instances share ${processes} processes; the tenants are all followed by one instance.`,
    ],
  }
}

function openFleet({ scope }: Bench): Child<Fleet> {
  const fleet = openChild<Fleet>('fleet')
  scope.defer(() => fleet.stop())
  return fleet
}

function optionsOf(
  { engines }: Bench,
  notifier: KnellProcess,
  instances: number,
  tenants: readonly string[],
): Parameters<Fleet['start']>[0] {
  const { amqpUrl, namespace } = engines
  const service = 'bench'
  return { instances, service, tenants, amqpUrl, url: notifier.url, apiKey: secret, namespace }
}

/** A notifier of many tenants. */
async function openCrowded(bench: Bench, tenants: readonly string[]): Promise<KnellProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'knell-bench-'))
  bench.scope.defer(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'tenants.json')
  await writeFile(file, JSON.stringify(Object.fromEntries(tenants.map((name) => [name, {}]))))
  const env = { ...knellEnv(bench), TENANTS_FILE: file }
  const notifier = await spawnKnell('notifier', env)
  bench.scope.defer(() => notifier.stop())
  return notifier
}

/** The share of a core that the notifier and Redis use, over so many seconds. */
async function load(
  bench: Bench,
  notifier: KnellProcess,
  seconds: number,
): Promise<{ notifier: number; redis: number }> {
  const redis = openRedis(bench)
  const used = async (): Promise<[number, number]> => [
    await cpuMs(notifier.pid),
    1000 *
      [...(await redis.info('cpu')).matchAll(/^used_cpu_(?:sys|user):([\d.]+)/gm)].reduce(
        (sum, [, value]) => sum + Number(value),
        0,
      ),
  ]
  const before = await used()
  await delay(seconds * 1000)
  const after = await used()
  const shareOf = (i: 0 | 1): number => (after[i] - before[i]) / (seconds * 1000)
  return { notifier: shareOf(0), redis: shareOf(1) }
}

/** The time a process has used, from /proc; 0 where there is none. */
async function cpuMs(pid: number): Promise<number> {
  try {
    const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS
  } catch {
    return 0
  }
}
