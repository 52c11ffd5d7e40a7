import { Worker } from 'bullmq'
import { parseRedisUrl } from '../../config/redis-url.ts'
import { createBullRedis } from '../../store/redis.ts'
import { openBarePublisher } from './bare.ts'
import { serve } from './serve.ts'

/** What one would write without Knell: a worker that is called once per token, when it is due. */

export interface BullWorkerOptions {
  readonly redisUrl: string
  readonly prefix: string
  readonly queue: string
  /** Absent: the jobs do nothing at all. */
  readonly publish?: { readonly amqpUrl: string; readonly exchange: string }
}

const CONCURRENCY = 100

let count = 0
let lastAt = 0
let worker: Worker | undefined

const methods = {
  async start({ redisUrl, prefix, queue, publish }: BullWorkerOptions): Promise<void> {
    await worker?.close()
    count = 0
    const bare = publish && (await openBarePublisher(publish.amqpUrl, publish.exchange))
    worker = new Worker(
      queue,
      async ({ data }) => {
        const body = Buffer.from(JSON.stringify(data))
        await bare?.publish('default.expired', (data as { jti: string }).jti, body)
        count += 1
        lastAt = Date.now()
      },
      {
        connection: createBullRedis(parseRedisUrl(redisUrl), () => {}),
        prefix,
        concurrency: CONCURRENCY,
        removeOnComplete: { count: 0 },
      },
    )
    worker.on('error', () => {})
    await worker.waitUntilReady()
  },

  done: (): { readonly count: number; readonly lastAt: number } => ({ count, lastAt }),
}

export type BullWorker = typeof methods

serve(methods)
