import type { Queue } from 'bullmq'
import { KnellError } from '../domain/errors.ts'

/** Longer than a command of the store may take. */
const TIMEOUT_MS = 4000

/** What lies in one of BullMQ's queues. */
export interface JobCounts {
  readonly queue: string
  /** By state: `waiting`, `active`, `delayed`, `failed`, `completed` and whatever else BullMQ counts. */
  readonly counts: Readonly<Record<string, number>>
  /** When (ms, the worker's clock) the last job of those that failed did; undefined where none has. */
  readonly lastFailedAt: number | undefined
  readonly lastFailure: string | undefined
}

/** @throws KnellError `store_unavailable` where the store does not answer in time */
export async function readBull(queues: readonly Queue[]): Promise<JobCounts[]> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new KnellError('store_unavailable', 'BullMQ’s queues did not answer in time.')),
      TIMEOUT_MS,
    )
  })
  try {
    return await Promise.race([late, Promise.all(queues.map(readOne))])
  } finally {
    clearTimeout(timer)
  }
}

async function readOne(queue: Queue): Promise<JobCounts> {
  const counts = await queue.getJobCounts()
  // The newest first.
  const [last] = (counts['failed'] ?? 0) > 0 ? await queue.getFailed(0, 0) : []
  return {
    queue: queue.name,
    counts,
    lastFailedAt: last?.finishedOn,
    lastFailure: last?.failedReason?.slice(0, 200),
  }
}
