import { setTimeout as delay } from 'node:timers/promises'
import { secret, type Bench } from '../bench/bench-context.ts'
import { Caller } from '../bench/caller.ts'
import { openChild, type Child } from '../bench/child.ts'
import type { Watcher, WatcherOptions } from './watcher.ts'

const READY_WITHIN_MS = 180_000

/** A consuming service in a process of its own. @throws where it is not ready in time */
export async function openWatcher(
  bench: Bench,
  urls: readonly string[],
  more: Partial<WatcherOptions> = {},
): Promise<Child<Watcher>> {
  const { amqpUrl, namespace } = bench.engines
  const watcher = openChild<Watcher>('../load/watcher')
  bench.scope.defer(() => watcher.stop())
  const started = watcher.call('start', { amqpUrl, urls, apiKey: secret, namespace, ...more })
  // What is given up here ends with the process that it runs in.
  started.catch(() => {})
  const late = new AbortController()
  const isLate = await Promise.race([
    started.then(() => false),
    delay(READY_WITHIN_MS, true, { signal: late.signal }).catch(() => true),
  ])
  late.abort()
  if (isLate) throw new Error(`A view was not ready in ${READY_WITHIN_MS / 1000} s.`)
  return watcher
}

/** Somebody who revokes, with so many connections. */
export function openCaller(
  bench: Bench,
  url: string,
  sockets: number,
  key: string = secret,
): Caller {
  const caller = new Caller(url, key, { sockets })
  bench.scope.defer(() => caller.close())
  return caller
}
