import { setTimeout as delay } from 'node:timers/promises'
import { knellEnv, openNotifier, type Bench } from '../bench/bench-context.ts'
import { openChild, type Child } from '../bench/child.ts'
import { jtiOf } from '../bench/tokens.ts'
import { spawnKnell } from '../processes.ts'
import { openProxy, type Proxy } from '../../testing/tcp-proxy.ts'
import { openWatcher } from './actors.ts'
import type { Flood } from './flood.ts'
import { secret } from '../bench/bench-context.ts'
import { Promises, type LoadResult } from './load-case.ts'
import type { Watcher } from './watcher.ts'

/** How long the feed is kept here, and how old a view may be. What an hour does elsewhere takes seconds. */
const RETENTION = '3s'
const MAX_STALENESS_MS = 3000
/** For so long at least an instance is away: then what it missed has been trimmed, and its view is stale. */
const AWAY_MS = 9000
const SOCKETS = 32
const PER_CHECK = 5000
const RETURN_WITHIN_MS = 60_000

type Away = 'cut off' | 'paused'

/**
 * An instance that is away for longer than the feed is kept, while as many revocations are made as
 * in an hour of ten a second: once cut off from everything but running, once paused.
 */
export async function runAway(bench: Bench, quick: boolean): Promise<LoadResult> {
  const count = quick ? 1000 : 36_000
  const notifier = await openNotifier(bench, { FEED_RETENTION: RETENTION })
  const env = { ...knellEnv(bench), FEED_RETENTION: RETENTION, SWEEP_CRON: '* * * * * *' }
  const poller = await spawnKnell('poller', env)
  bench.scope.defer(() => poller.stop())
  const flood = openChild<Flood>('../load/flood')
  bench.scope.defer(() => flood.stop())
  const proxies = [
    await proxyTo(bench, bench.engines.amqpUrl),
    await proxyTo(bench, notifier.url),
  ] as const
  const watcher = await openWatcher(bench, [proxies[1].url(notifier.url).replace(/\/$/, '')], {
    amqpUrl: proxies[0].url(bench.engines.amqpUrl),
    maxStaleness: MAX_STALENESS_MS,
  })
  const figures: Record<string, number> = { 'revocations each time': count }
  const promises = new Promises()
  let first = 0
  for (const how of ['cut off', 'paused'] as const) {
    bench.say(`away: ${how}, while ${count} tokens are revoked`)
    const run = { bench, how, first, count, flood, watcher, proxies, url: notifier.url }
    const { backMs, ...found } = await awayOnce(run)
    promises.keep(
      found.believed === 0,
      `${how}: ${found.believed} dead tokens were let in by a view that claimed to know of them.`,
    )
    promises.keep(
      found.letIn === 0,
      `${how}: ${found.letIn} dead tokens were let in by a stale view.`,
    )
    promises.keep(
      found.missing === 0,
      `${how}: ${found.missing} revocations were missing after the return.`,
    )
    // One that is only paused may find all of it in its queue.
    const [least, most] = how === 'paused' ? [0, 1] : [1, 1]
    promises.keep(
      found.snapshots >= least && found.snapshots <= most,
      `${how}: ${found.snapshots} snapshots were taken.`,
    )
    figures[`${how}: back, and all applied, after ms`] = backMs
    figures[`${how}: snapshots`] = found.snapshots
    first += count
  }
  return { figures, missed: promises.missed }
}

interface Found {
  /** Let in by a decision that claims to rest on a state after the revocation. */
  readonly believed: number
  /** Let in though the view was older than it may be. */
  readonly letIn: number
  readonly missing: number
  readonly snapshots: number
  readonly backMs: number
}

async function awayOnce(options: {
  bench: Bench
  how: Away
  first: number
  count: number
  flood: Child<Flood>
  watcher: Child<Watcher>
  proxies: readonly Proxy[]
  url: string
}): Promise<Found> {
  const { how, first, count, flood, watcher, proxies, url } = options
  const pid = await watcher.call('pid')
  const before = await watcher.call('state')
  const gone = performance.now()
  if (how === 'paused') process.kill(pid, 'SIGSTOP')
  else await Promise.all(proxies.map((proxy) => proxy.cut()))
  await flood.call('run', { url, secret, first, count, sockets: SOCKETS })
  const revokedAt = Date.now()
  await delay(Math.max(0, AWAY_MS - (performance.now() - gone)))
  const tokens = tokensFrom(first, count)
  let letIn = 0
  if (how === 'cut off') {
    letIn = (await checkAll(watcher, tokens)).filter(({ active }) => active).length
    await Promise.all(proxies.map((proxy) => proxy.resume()))
  } else process.kill(pid, 'SIGCONT')
  const back = performance.now()
  let [believed, missing] = [0, count]
  while (missing > 0 && performance.now() - back < RETURN_WITHIN_MS) {
    const said = await checkAll(watcher, tokens)
    believed += said.filter(({ active, asOf }) => active && asOf > revokedAt).length
    // The first answers after a pause come before any timer of the process has run.
    letIn += said.filter(({ active }) => active).length
    missing = said.filter(({ code }) => code !== 'revoked').length
  }
  const { snapshots } = await watcher.call('state')
  return {
    believed,
    letIn,
    missing,
    snapshots: snapshots - before.snapshots,
    backMs: performance.now() - back,
  }
}

function tokensFrom(first: number, count: number): { jti: string; iat: number; exp: number }[] {
  const iat = Math.floor(Date.now() / 1000) - 60
  return Array.from({ length: count }, (_, i) => ({ jti: jtiOf(first + i), iat, exp: iat + 3600 }))
}

async function checkAll(
  watcher: Child<Watcher>,
  tokens: readonly { jti: string; iat: number; exp: number }[],
): Promise<{ code: string; active: boolean; asOf: number }[]> {
  const said: { code: string; active: boolean; asOf: number }[] = []
  for (let from = 0; from < tokens.length; from += PER_CHECK) {
    said.push(...(await watcher.call('check', tokens.slice(from, from + PER_CHECK))))
  }
  return said
}

async function proxyTo({ scope }: Bench, url: string): Promise<Proxy> {
  const { hostname, port } = new URL(url)
  const proxy = await openProxy({ target: { host: hostname, port: Number(port) } })
  scope.defer(() => proxy.close())
  return proxy
}
