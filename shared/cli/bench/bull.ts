import { Queue } from 'bullmq'
import { setTimeout as delay } from 'node:timers/promises'
import { parseRedisUrl } from '../../config/redis-url.ts'
import { keySpaceOf } from '../../store/keys.ts'
import { createBullRedis } from '../../store/redis.ts'
import { bareExchangeOf, type Bench } from './bench-context.ts'
import type { BullWorker, BullWorkerOptions } from './bull-worker.ts'
import { openChild } from './child.ts'
import { openListener } from './listening.ts'
import { tokenOf } from './tokens.ts'

const QUEUE = 'bench-expiry'
/** The fastest way of adding many: BullMQ's own bulk call. */
const PER_CALL = 1000
/** What adding is trusted to manage at first, jobs a second: none may be due before all are there. */
const SLOWEST_PER_SECOND = 1000
/** A worker that has not done its jobs by then never will. */
const GIVE_UP_MS = 120_000

export type BullQueue = Queue

type Done = ReturnType<BullWorker['done']>

/** A BullMQ queue in the namespace of this run. */
export async function openBullQueue(bench: Bench): Promise<BullQueue> {
  const { engines, scope } = bench
  const connection = createBullRedis(parseRedisUrl(engines.redisUrl), () => {})
  scope.defer(() => connection.disconnect())
  const queue = new Queue(QUEUE, { connection, prefix: keySpaceOf(engines.namespace).bull })
  queue.on('error', () => {})
  scope.defer(() => queue.close())
  await queue.waitUntilReady()
  return queue
}

/** Adds one delayed job per token, all due at the same moment. */
export async function addJobs(queue: BullQueue, count: number, dueAt: number): Promise<void> {
  const exp = Math.floor(dueAt / 1000)
  for (let from = 0; from < count; from += PER_CALL) {
    const now = Date.now()
    const size = Math.min(PER_CALL, count - from)
    await queue.addBulk(
      Array.from({ length: size }, (_, i) => ({
        name: 'expire',
        data: tokenOf(from + i, exp),
        opts: { timestamp: now, delay: Math.max(0, dueAt - now), removeOnComplete: true },
      })),
    )
  }
}

export interface BullPeer {
  /** Jobs a second, each with a confirmed message that a consumer has heard. */
  publishing(count: number): Promise<number>
  /** Jobs a second, doing nothing. */
  idle(count: number): Promise<number>
}

/** The job-per-token way: its worker and its consumer are processes of their own, as Knell's parts are. */
export async function openBullPeer(bench: Bench): Promise<BullPeer> {
  const { engines, scope } = bench
  const queue = await openBullQueue(bench)
  const listener = await openListener(bench)
  const worker = openChild<BullWorker>('bull-worker')
  scope.defer(() => worker.stop())
  const options: BullWorkerOptions = {
    redisUrl: engines.redisUrl,
    prefix: keySpaceOf(engines.namespace).bull,
    queue: QUEUE,
  }
  const publish = { amqpUrl: engines.amqpUrl, exchange: bareExchangeOf(bench) }
  let guess = SLOWEST_PER_SECOND
  const once = async (count: number, done: () => Promise<Done>): Promise<number | undefined> => {
    const started = Date.now()
    const dueAt = started + 1000 + (1500 * count) / guess
    await addJobs(queue, count, dueAt)
    const addedAt = Date.now()
    guess = (count * 1000) / (addedAt - started)
    for (;;) {
      const { count: all, lastAt } = await done()
      if (Date.now() > dueAt + GIVE_UP_MS)
        throw new Error(`Only ${all} of ${count} jobs were done.`)
      if (all >= count) return addedAt < dueAt ? (count * 1000) / (lastAt - dueAt) : undefined
      await delay(50)
    }
  }
  return {
    async publishing(count) {
      for (;;) {
        await worker.call('start', { ...options, publish })
        await listener.call('reset')
        const perSecond = await once(count, () => listener.call('heard', 'bare'))
        if (perSecond !== undefined) return perSecond
      }
    },
    async idle(count) {
      for (;;) {
        await worker.call('start', options)
        const perSecond = await once(count, () => worker.call('done'))
        if (perSecond !== undefined) return perSecond
      }
    },
  }
}
