import { Queue } from 'bullmq'
import { bullQueueNames } from '../domain/names.ts'
import type { Store } from '../store/store.ts'

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
