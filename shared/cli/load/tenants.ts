import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomInt, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { openNotifier, type Bench } from '../bench/bench-context.ts'
import { clockMs } from '../bench/clock.ts'
import { quantile } from '../bench/statistics.ts'
import { openCaller, openWatcher } from './actors.ts'
import { Promises, type LoadResult } from './load-case.ts'
import { residentOf } from './resident.ts'
import { singlesUntil } from './singles.ts'

const PACE_MS = 20
const WAITS = 20
/** A beat each 2 s, and one that was missed. */
const OLDEST_MS = 6000
const MILLISECONDS = 100

/** Beats and acks of very many tenants, all followed by two instances, while single revocations go on in any of them. */
export async function runTenants(bench: Bench, quick: boolean): Promise<LoadResult> {
  const { count, seconds, samples } = quick
    ? { count: 20, seconds: 3, samples: 50 }
    : { count: 1000, seconds: 20, samples: 500 }
  const { say, scope } = bench
  const folder = await mkdtemp(join(tmpdir(), 'knell-load-'))
  scope.defer(() => rm(folder, { recursive: true, force: true }))
  const tenants = Array.from({ length: count }, (_, i) => `tenant-${i}`)
  const file = join(folder, 'tenants.json')
  await writeFile(file, JSON.stringify(Object.fromEntries(tenants.map((name) => [name, {}]))))
  const notifier = await openNotifier(bench, { TENANTS_FILE: file })
  const caller = openCaller(bench, notifier.url, 16)
  say(`tenants: two instances follow ${count} tenants`)
  const watchers = [
    await openWatcher(bench, [notifier.url], { tenants }),
    await openWatcher(bench, [notifier.url], { tenants }),
  ] as const
  // Until the first beats have come.
  await delay(quick ? 2000 : 5000)

  say('tenants: at rest')
  let oldestMs = 0
  const ends = performance.now() + seconds * 1000
  while (performance.now() < ends) {
    for (const watcher of watchers) {
      oldestMs = Math.max(oldestMs, (await watcher.call('state')).staleMs)
    }
    await delay(200)
  }
  say('tenants: single revocations in any of them')
  const tenant = (): string => tenants[randomInt(count)] ?? ''
  const [watcher] = watchers
  const options = { caller, watcher, paceMs: PACE_MS, tenant }
  await singlesUntil((made) => made >= samples / 5, options)
  const found = await singlesUntil((made) => made >= samples, options)
  const waits: number[] = []
  for (let i = 0; i < WAITS; i++) {
    const started = clockMs()
    const wait = { for: 'all', timeoutMs: 20_000 }
    const body = { tenant: tenant(), match: { jti: randomUUID() }, wait }
    const { enforced } = (await caller.post('/v1/revocations', body)) as {
      enforced: { done: boolean }
    }
    if (!enforced.done) throw new Error(`Not enforced: ${JSON.stringify(enforced)}`)
    waits.push(clockMs() - started)
  }
  const promises = new Promises()
  promises.keep(quick || oldestMs <= OLDEST_MS, `At rest a view was ${oldestMs} ms old.`)
  promises.keep(
    quick || found.pushP99 <= MILLISECONDS,
    `The p99 of single revocations was ${found.pushP99} ms.`,
  )
  return {
    figures: {
      tenants: count,
      'oldest view at rest, ms': oldestMs,
      'applied p50, ms': found.pushP50,
      'applied p99, ms': found.pushP99,
      'wait for all p50, ms': quantile(waits, 0.5),
      'wait for all at most, ms': Math.max(...waits),
      'notifier, MB': (await residentOf(notifier.pid)) / 1e6,
    },
    missed: promises.missed,
  }
}
