import { Queue } from 'bullmq'
import type { Store } from '../store/store.ts'

/** BullMQ's queues: the tick of each second, and the sweeps. */
export const bullQueueNames = { expiry: 'knell-expiry', sweep: 'knell-sweep' } as const

/** Both queues, to look at, on the connection of the store: they fail within its time limit and need no closing. */
export function openBullQueues(store: Store, onError: (error: Error) => void): Queue[] {
  return Object.values(bullQueueNames).map((name) => {
    const queue = new Queue(name, {
      connection: store.redis,
      prefix: store.keys.bull,
      // Who only looks must not write, and the workers' connections check the version already.
      skipMetasUpdate: true,
      skipVersionCheck: true,
    })
    queue.on('error', onError)
    return queue
  })
}
