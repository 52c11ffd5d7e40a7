import { setTimeout as delay } from 'node:timers/promises'
import { openNotifier, type Bench } from '../bench/bench-context.ts'
import { openRedis, storedBytes, awaitRest, holdRewrites } from '../bench/redis-info.ts'
import { tokenOf } from '../bench/tokens.ts'
import type { RedisClient } from '../../store/store.ts'
import { openCaller, openWatcher } from './actors.ts'
import { Promises, type LoadResult } from './load-case.ts'
import { residentOf } from './resident.ts'
import { singlesUntil } from './singles.ts'

const PER_UPLOAD = 50_000
const PACE_MS = 20
/**
 * No script may hold up everybody else for longer. Of a hundred one may: Redis measures by the clock,
 * also while the machine gives it no core.
 */
const SCRIPT_MS = 50
const SCRIPT_SHARE = 0.99
/** Only what takes longer is kept in the slow log. */
const SLOW_MICROSECONDS = 5000
const SAMPLE_MS = 250
const SILENT_MS = 60_000
/** The feed holds what the wheel held, in longer words, and never both. */
const MOST_TIMES_STORED = 2.5
const NOTIFIER_MOST = 400_000_000

/** Very many tokens that expire in the same second, while single revocations go on. */
export async function runOneSecond(bench: Bench, quick: boolean): Promise<LoadResult> {
  const { count, calm } = quick ? { count: 20_000, calm: 50 } : { count: 1_000_000, calm: 500 }
  const { say } = bench
  const redis = openRedis(bench)
  await holdRewrites(bench, redis)
  const notifier = await openNotifier(bench)
  const caller = openCaller(bench, notifier.url, 16)
  const hearer = await openWatcher(bench, [notifier.url], { tokens: count })
  const watcher = await openWatcher(bench, [notifier.url])
  const options = { caller, watcher, paceMs: PACE_MS }

  const due = await register(bench, notifier.url, count, (calm * 2 * PACE_MS) / 1000)
  await awaitRest(redis)
  say('one-second: in calm')
  const before = await singlesUntil((made) => made >= calm, options)
  const stored = await storedBytes(redis)
  const residentBefore = await residentOf(notifier.pid)
  await redis.config('SET', 'slowlog-log-slower-than', `${SLOW_MICROSECONDS}`)
  await redis.config('SET', 'slowlog-max-len', '4096')
  const waitMs = due * 1000 - Date.now()
  if (waitMs < 0)
    throw new Error('The second came before all tokens were registered and calm was measured.')
  say(`one-second: the second is ${Math.round(waitMs / 1000)} s away`)
  await delay(waitMs)
  await redis.call('SLOWLOG', 'RESET')
  await redis.config('RESETSTAT')

  const peaks = watchPeaks(redis, notifier.pid)
  const awaited = hearAll(hearer, count)
  let isOver = false
  const heard = awaited.finally(() => {
    isOver = true
  })
  const during = await singlesUntil(() => isOver, options)
  const expiries = await heard
  const peak = await peaks.stop()
  const { calls, slow } = await scriptsOf(redis)
  const { rss: hearerBytes } = await hearer.call('state')

  const promises = new Promises()
  promises.keep(expiries.heard === count, `Of ${count} tokens ${expiries.heard} were announced.`)
  promises.keep(expiries.twice === 0, `${expiries.twice} tokens were announced twice.`)
  promises.keep(expiries.early === 0, `${expiries.early} tokens were announced before their exp.`)
  const script = slow[Math.floor(calls * (1 - SCRIPT_SHARE))] ?? SLOW_MICROSECONDS / 1000
  promises.keep(quick || script <= SCRIPT_MS, `The p99 of scripts was ${script} ms.`)
  promises.keep(
    quick || peak.stored <= MOST_TIMES_STORED * stored,
    `Redis stored up to ${peak.stored} bytes, of ${stored} before.`,
  )
  promises.keep(peak.resident <= NOTIFIER_MOST, `The notifier took up to ${peak.resident} bytes.`)
  const seconds = (expiries.lastAt - due * 1000) / 1000
  return {
    figures: {
      tokens: count,
      'announced after, s': seconds,
      'tokens per second': count / seconds,
      scripts: calls,
      'scripts over 5 ms': slow.length,
      'p99 of all scripts, ms (5: at most)': script,
      'longest script, ms': slow[0] ?? SLOW_MICROSECONDS / 1000,
      'stored before, MB': stored / 1e6,
      'stored at most, MB': peak.stored / 1e6,
      'notifier before, MB': residentBefore / 1e6,
      'notifier at most, MB': peak.resident / 1e6,
      'hearing process, MB': hearerBytes / 1e6,
      'single applied p50 in calm, ms': before.pushP50,
      'single applied p99 in calm, ms': before.pushP99,
      'single applied p50 meanwhile, ms': during.pushP50,
      'single applied p99 meanwhile, ms': during.pushP99,
      'p99, times calm': during.pushP99 / before.pushP99,
    },
    missed: promises.missed,
  }
}

/** Registers all of them, due in a second that leaves time to measure calm before; returns that second. */
async function register(
  bench: Bench,
  url: string,
  count: number,
  calmSeconds: number,
): Promise<number> {
  const caller = openCaller(bench, url, 1)
  // Others, which live on, show how fast it goes here.
  const trial = Math.min(count, PER_UPLOAD)
  const started = performance.now()
  const far = Math.ceil(Date.now() / 1000) + 3600
  await caller.upload('/v1/tokens', lines(count, trial, far))
  const seconds = ((performance.now() - started) / 1000) * (count / trial)
  const due = Math.ceil(Date.now() / 1000 + 1.5 * seconds + calmSeconds + 10)
  for (let from = 0; from < count; from += PER_UPLOAD) {
    bench.say(`one-second: ${from} of ${count} tokens registered`)
    const size = Math.min(PER_UPLOAD, count - from)
    await caller.upload('/v1/tokens', lines(from, size, due))
  }
  return due
}

function* lines(first: number, count: number, exp: number): Generator<string> {
  for (let i = first; i < first + count; i++) {
    yield JSON.stringify({ claims: { ...tokenOf(i, exp), sub: `u${i}` } })
  }
}

/** Waits until all were heard, or nothing new came for a long time. */
async function hearAll(
  hearer: Awaited<ReturnType<typeof openWatcher>>,
  count: number,
): Promise<{ heard: number; twice: number; early: number; lastAt: number }> {
  let [last, changedAt] = [0, performance.now()]
  for (;;) {
    const found = await hearer.call('expiries')
    if (found.heard > last) [last, changedAt] = [found.heard, performance.now()]
    if (found.heard >= count || performance.now() - changedAt > SILENT_MS) return found
    await delay(SAMPLE_MS)
  }
}

/** The most that Redis stored and the notifier took, until `stop`. */
function watchPeaks(
  redis: RedisClient,
  pid: number,
): { stop(): Promise<{ stored: number; resident: number }> } {
  const over = new AbortController()
  const most = { stored: 0, resident: 0 }
  const watching = (async () => {
    while (!over.signal.aborted) {
      most.stored = Math.max(most.stored, await storedBytes(redis))
      most.resident = Math.max(most.resident, await residentOf(pid))
      await delay(SAMPLE_MS)
    }
  })()
  return {
    async stop() {
      over.abort()
      await watching
      return most
    },
  }
}

/** How many scripts have run, and how long each in the slow log took, ms, the longest first. */
async function scriptsOf(redis: RedisClient): Promise<{ calls: number; slow: number[] }> {
  const stats = await redis.info('commandstats')
  const [, calls] = /^cmdstat_evalsha:calls=(\d+)/m.exec(stats) ?? []
  const entries = (await redis.call('SLOWLOG', 'GET', '4096')) as [
    number,
    number,
    number,
    string[],
  ][]
  const slow = entries.flatMap(([, , microseconds, [name = '']]) =>
    /^eval/i.test(name) ? [microseconds / 1000] : [],
  )
  return { calls: Number(calls), slow: slow.toSorted((a, b) => b - a) }
}
