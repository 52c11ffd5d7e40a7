import { Worker } from 'bullmq'
import { createTask, type ScheduledTask } from 'node-cron'
import type { Logger } from 'pino'
import { bullQueueNames } from '../shared/domain/names.ts'
import type { SweepQueue } from '../shared/relay/sweep-queue.ts'
import type { RedisClient, Store } from '../shared/store/store.ts'
import type { UpkeepStore } from '../shared/store/upkeep-store.ts'
import { ClockWatch } from './clock-watch.ts'
import type { SweepReport, Sweeper } from './sweep.ts'
import { parseStored } from '../shared/store/stored-json.ts'

/** After so many firings without a new report in the store, BullMQ is taken to be stuck. */
const MISSED_FIRINGS = 2

/**
 * node-cron fires, each firing becomes one BullMQ job however many pollers run, and a worker
 * sweeps. A sweep covers everything due up to now, so a missed firing costs time only. Should no
 * sweep be reported for two firings, this process sweeps without BullMQ.
 */
export class SweepSchedule {
  readonly #sweeper: Sweeper
  readonly #upkeep: UpkeepStore
  readonly #log: Logger
  readonly #onSwept: (report: SweepReport) => void
  readonly #queue: SweepQueue
  readonly #worker: Worker
  readonly #task: ScheduledTask
  readonly #clock: ClockWatch = new ClockWatch(() => void this.#planAnew())
  #lastSeen = -1
  #missed = 0
  #direct: Promise<void> | undefined
  #started = false

  constructor(options: {
    store: Store
    upkeep: UpkeepStore
    sweeper: Sweeper
    cron: string
    log: Logger
    /** Told of each sweep of this process that ended well. */
    onSwept: (report: SweepReport) => void
    queue: SweepQueue
    workerRedis: RedisClient
  }) {
    const { log } = options
    this.#sweeper = options.sweeper
    this.#upkeep = options.upkeep
    this.#log = log
    this.#onSwept = options.onSwept
    const prefix = options.store.keys.bull
    this.#queue = options.queue
    this.#worker = new Worker(bullQueueNames.sweep, (job) => this.#sweep(triggerOf(job.id)), {
      connection: options.workerRedis,
      prefix,
      autorun: false,
      concurrency: 1,
      maxStalledCount: 10,
      drainDelay: 2,
    })
    this.#worker.on('error', (error) => log.debug({ err: error }, 'sweep worker'))
    this.#worker.on('failed', (_job, error) => log.warn({ err: error }, 'a sweep failed'))
    this.#task = createTask(options.cron, ({ date }) => this.#fire(date), {
      timezone: 'UTC',
      name: 'sweep',
      suppressMissedWarning: true,
      logger: {
        info: (message) => log.debug(message),
        warn: (message) => log.debug(message),
        error: (message) => log.warn({ err: message }, 'cron'),
        debug: (message) => log.trace({ err: message }, 'cron'),
      },
    })
  }

  start(): void {
    if (this.#started) return
    this.#started = true
    void this.#worker.run()
    void this.#task.start()
    this.#clock.start()
  }

  /** The firing that cron waits for lies as far ahead as the clock was set back. */
  async #planAnew(): Promise<void> {
    this.#log.warn('the clock of this machine was set back; the sweeps are planned anew')
    await this.#task.stop()
    if (this.#started) await this.#task.start()
  }

  async #sweep(trigger: string): Promise<SweepReport> {
    const report = await this.#sweeper.runOnce(trigger)
    this.#onSwept(report)
    const { overdueTokens, overdueHolds, overdueSchedules, unsentEntries } = report
    const { resentEntries, closedEntries, lostEntries, cutRecords } = report
    if (cutRecords > 0) {
      this.#log.warn(
        { cutRecords },
        'audit records younger than AUDIT_DAYS are gone: a shard keeps AUDIT_MAX; export them, or raise it',
      )
    }
    const missed = overdueTokens + overdueHolds + overdueSchedules + unsentEntries
    const caught = missed + resentEntries + closedEntries + lostEntries
    this.#log[caught > 0 ? 'warn' : 'debug'](
      report,
      caught > 0 ? 'the sweep caught what the push path missed' : 'swept',
    )
    return report
  }

  async #fire(planned: Date): Promise<void> {
    this.#queue.plan(planned).catch((err: unknown) => this.#log.debug({ err }, 'no sweep job'))
    try {
      await this.#watch()
    } catch (error) {
      this.#log.debug({ err: error }, 'the sweeps could not be watched')
    }
  }

  async #watch(): Promise<void> {
    const [newest] = await this.#upkeep.reports(1)
    const at = newest === undefined ? 0 : (parseStored(newest) as SweepReport).at
    this.#missed = at > this.#lastSeen ? 0 : this.#missed + 1
    this.#lastSeen = at
    if (this.#missed < MISSED_FIRINGS || this.#direct !== undefined) return
    this.#log.warn('no sweep was reported for a while; sweeping without BullMQ')
    this.#direct = this.#sweepDirectly()
  }

  async #sweepDirectly(): Promise<void> {
    try {
      await this.#sweep('direct')
    } catch (error) {
      this.#log.warn({ err: error }, 'the direct sweep failed')
    } finally {
      this.#direct = undefined
    }
  }

  async stop(): Promise<void> {
    this.#started = false
    this.#clock.stop()
    await this.#task.destroy()
    const force = setTimeout(() => void this.#worker.close(true), 4000)
    await this.#worker.close()
    clearTimeout(force)
    await this.#direct
    await this.#queue.close()
  }
}

/** A job's id says what asked for it. */
function triggerOf(id: string | undefined): string {
  return id?.startsWith('now-') === true ? `call ${id}` : `cron ${id}`
}
