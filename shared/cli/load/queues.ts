import { openNotifier, type Bench } from '../bench/bench-context.ts'
import { openChild } from '../bench/child.ts'
import { namesOf } from '../../domain/names.ts'
import { openCaller, openWatcher } from './actors.ts'
import type { BoundQueues } from './bound-queues.ts'
import { Promises, type LoadResult } from './load-case.ts'
import { singlesUntil } from './singles.ts'

/** Every message is copied to each of them, at some 100 µs: so much rest lets one be done before the next comes. */
const MS_PER_QUEUE = 0.25
const LEAST_PACE_MS = 20
/** What the page calls "milliseconds". */
const MILLISECONDS = 100

/** The push path against the number of queues that are bound, as each instance binds one. */
export async function runQueues(bench: Bench, quick: boolean): Promise<LoadResult> {
  const steps = quick ? [5, 20] : [10, 100, 1000, 3000]
  const samples = quick ? 20 : 100
  const { engines, say } = bench
  const notifier = await openNotifier(bench)
  const caller = openCaller(bench, notifier.url, 4)
  const watcher = await openWatcher(bench, [notifier.url])
  const crowd = openChild<BoundQueues>('../load/bound-queues')
  bench.scope.defer(() => crowd.stop())
  const exchange = namesOf(engines.namespace).revocations
  const figures: Record<string, number> = {}
  let upTo = 0
  await singlesUntil((made) => made >= samples, { caller, watcher, paceMs: LEAST_PACE_MS })
  for (const queues of steps) {
    say(`queues: ${queues} are bound`)
    const { amqpUrl } = engines
    await crowd.call('grow', { amqpUrl, exchange, routingKey: 'default.revoked', queues })
    const paceMs = Math.max(LEAST_PACE_MS, queues * MS_PER_QUEUE)
    const found = await singlesUntil((made) => made >= samples, { caller, watcher, paceMs })
    figures[`${queues} queues: answered p99, ms`] = found.callP99
    figures[`${queues} queues: applied p50, ms`] = found.pushP50
    figures[`${queues} queues: applied p99, ms`] = found.pushP99
    if (found.pushP99 <= MILLISECONDS) upTo = queues
  }
  const promises = new Promises()
  promises.keep(quick || upTo >= 100, `With 100 bound queues the p99 was above ${MILLISECONDS} ms.`)
  return {
    figures: { ...figures, [`queues with a p99 of at most ${MILLISECONDS} ms`]: upTo },
    missed: promises.missed,
  }
}
