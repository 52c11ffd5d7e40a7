import { Queue, type JobsOptions } from 'bullmq'
import type { Logger } from 'pino'
import { bullQueueNames } from '../domain/names.ts'
import { toStoreError } from '../store/store-error.ts'
import type { Store } from '../store/store.ts'
import type { UpkeepStore } from '../store/upkeep-store.ts'
import { parseStored } from '../store/stored-json.ts'

const LOOK_MS = 100
/** So many of the newest reports are looked through for one that is new enough. */
const REPORTS = 20

/** A sweep that was asked for. */
export interface SweepAsked {
  readonly job: string
  /** How many sweeps had begun, of all pollers, when it was asked for: a report with a higher `run` began after. */
  readonly after: number
}

/** What a report says of itself that matters here. */
interface Reported {
  readonly run?: number
}

/**
 * The queue of sweeps, which a poller's worker takes. However many ask at once, one job waits: its id
 * is how many sweeps have begun so far, so that whoever asks before the next one begins means that one.
 * It is on the connection of the store, so that a Redis that refuses or does not answer keeps no caller waiting.
 */
export class SweepQueue {
  readonly #queue: Queue
  readonly #upkeep: UpkeepStore

  constructor(options: { store: Store; upkeep: UpkeepStore; log: Logger }) {
    this.#upkeep = options.upkeep
    this.#queue = new Queue(bullQueueNames.sweep, {
      connection: options.store.redis,
      prefix: options.store.keys.bull,
      // The worker's connection checks it; a check that failed here would spoil the queue for good.
      skipVersionCheck: true,
      defaultJobOptions: {
        removeOnComplete: { age: 86_400, count: 1000 },
        removeOnFail: { age: 86_400, count: 1000 },
      },
    })
    this.#queue.on('error', (error) => options.log.debug({ err: error }, 'sweep queue'))
  }

  /** Asks for a sweep now. @throws KnellError `store_*` */
  async ask(): Promise<SweepAsked> {
    const after = await this.#upkeep.sweepsBegun()
    const job = `now-${after}`
    // A failed job must not stand in the way of the next one of its id.
    await this.#add({ jobId: job, removeOnFail: true })
    return { job, after }
  }

  /** The sweep of a firing: the job's id is the second it was planned for, so the other pollers' firings add nothing. @throws KnellError `store_*` */
  async plan(at: Date): Promise<void> {
    await this.#add({ jobId: `sweep-${Math.round(at.getTime() / 1000)}` })
  }

  async #add(options: JobsOptions): Promise<void> {
    try {
      await this.#queue.add('sweep', {}, options)
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /** The report of a sweep that began after it was asked for; undefined where none ended in time, or `gone` was aborted. */
  async report(
    { after }: SweepAsked,
    timeoutMs: number,
    gone: AbortSignal,
    isStopping: () => boolean,
  ): Promise<object | undefined> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const reports = await this.#upkeep.reports(REPORTS)
      const found = reports
        .map((text) => parseStored(text) as Reported)
        .find(({ run = 0 }) => run > after)
      if (found !== undefined) return found
      const left = deadline - performance.now()
      if (left <= 0 || gone.aborted || isStopping()) return undefined
      await new Promise((resolve) => setTimeout(resolve, Math.min(LOOK_MS, left)))
    }
  }

  /** Where a job is, in BullMQ's words. @throws KnellError `store_*` */
  async state(job: string): Promise<string> {
    try {
      return await this.#queue.getJobState(job)
    } catch (error) {
      throw toStoreError(error)
    }
  }

  async close(): Promise<void> {
    await this.#queue.close()
  }
}
