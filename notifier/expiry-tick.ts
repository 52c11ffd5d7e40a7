import { Queue, Worker, type Job } from 'bullmq'
import type { Logger } from 'pino'
import { bullQueueNames } from '../shared/domain/names.ts'
import type { Drained, Drainer } from '../shared/relay/drainer.ts'
import type { Changed, DueChanges } from '../shared/relay/due-changes.ts'
import { toStoreError } from '../shared/store/store-error.ts'
import type { RedisClient, Store } from '../shared/store/store.ts'
import { thisMoment } from '../shared/process/this-moment.ts'

/**
 * A BullMQ job each whole second of the store's clock, one across all notifiers, that drains
 * whatever is due, and makes the holds and schedules that are. The job's id is the second, so the same one added by another notifier is ignored.
 * Nothing rests on a job: a second that no job drained is drained by the next one, or by the sweep.
 */
export class ExpiryTick {
  readonly #store: Store
  readonly #tenant: string
  readonly #drainer: Drainer
  readonly #dueChanges: DueChanges
  readonly #log: Logger
  readonly #queue: Queue
  readonly #worker: Worker
  #timer: NodeJS.Timeout | undefined
  #stopped = true

  constructor(options: {
    store: Store
    /** Any tenant: its shard 0 tells the store's time. */
    tenant: string
    drainer: Drainer
    dueChanges: DueChanges
    log: Logger
    workerRedis: RedisClient
  }) {
    this.#store = options.store
    this.#tenant = options.tenant
    this.#drainer = options.drainer
    this.#dueChanges = options.dueChanges
    this.#log = options.log
    const prefix = this.#store.keys.bull
    this.#queue = new Queue(bullQueueNames.expiry, {
      // So that a Redis that refuses or does not answer holds no tick up for longer than any command.
      connection: this.#store.redis,
      prefix,
      // The worker's connection checks it; a check that failed here would spoil the queue for good.
      skipVersionCheck: true,
      defaultJobOptions: {
        removeOnComplete: { age: 600, count: 300 },
        removeOnFail: { age: 3600, count: 300 },
      },
    })
    this.#worker = new Worker(bullQueueNames.expiry, (job) => this.#run(job), {
      connection: options.workerRedis,
      prefix,
      autorun: false,
      concurrency: 1,
      maxStalledCount: 10,
      drainDelay: 2,
    })
    this.#queue.on('error', (error) => options.log.debug({ err: error }, 'expiry queue'))
    this.#worker.on('error', (error) => options.log.debug({ err: error }, 'expiry worker'))
    this.#worker.on('failed', (_job, error) => options.log.debug({ err: error }, 'expiry job'))
  }

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    void this.#worker.run()
    this.#schedule()
  }

  async #run(job: Job): Promise<Omit<Drained, 'problem'> & Changed> {
    // Side by side: a flood of either must not keep the other waiting.
    const [changes, drain] = await Promise.allSettled([
      this.#dueChanges.runOnce(0),
      this.#drainer.runOnce(0),
    ])
    if (changes.status === 'rejected') throw changes.reason
    if (drain.status === 'rejected') throw drain.reason
    const changed = changes.value
    const { problem, ...drained } = drain.value
    if (problem !== undefined) {
      this.#log.debug({ err: problem, job: job.id }, 'a shard could not be drained')
    }
    if (changed.holds + changed.schedules > 0) {
      this.#log.debug({ job: job.id, ...changed }, 'due changes made')
    }
    if (drained.announced + drained.expiring > 0) {
      this.#log.debug({ job: job.id, ...drained }, 'expiries announced')
    }
    return { ...drained, ...changed }
  }

  /** Wakes just after the next whole second of the store's clock. */
  #schedule(): void {
    if (this.#stopped) return
    const now = this.#store.clock.isSet ? this.#store.clock.earliest(thisMoment()) : Date.now()
    this.#timer = setTimeout(() => void this.#tick(), 1000 - (now % 1000) + 1)
  }

  async #tick(): Promise<void> {
    try {
      const { at } = await this.#store.touch(this.#tenant, 0)
      // A tick that is early by this clock would find nothing due, so it takes the second that has just begun.
      const second = Math.round(at / 1000)
      await this.#queue.add('drain', {}, { jobId: `second-${second}` })
    } catch (error) {
      const err = toStoreError(error)
      this.#log.debug({ err }, 'no tick this second; the next one covers it')
    }
    this.#schedule()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    const force = setTimeout(() => void this.#worker.close(true), 4000)
    await this.#worker.close()
    clearTimeout(force)
    await this.#queue.close()
  }
}
