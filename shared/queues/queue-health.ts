import type { Queue } from 'bullmq'
import type { HandlerStore } from '../store/handler-store.ts'
import { logs, type Log } from '../domain/position.ts'
import type { Store } from '../store/store.ts'
import { toStoreError } from '../store/store-error.ts'
import { readTotals, type LogTotals } from '../store/totals.ts'
import type { UpkeepStore } from '../store/upkeep-store.ts'
import { readBull, type JobCounts } from './bull-reader.ts'
import { CachedRead } from './cached-read.ts'
import { judgeQueues, type Judgement, type SweepFacts } from './judge.ts'
import type { QueueCount } from './queue-count.ts'
import { RABBIT_MAX_AGE_MS, type RabbitReader, type RabbitReading } from './rabbit-reader.ts'
import { sweepFactsOf } from './sweep-facts.ts'
import { parseStored } from '../store/stored-json.ts'
import { thisMoment } from '../process/this-moment.ts'

/** Many who look at once cost the store one look. */
const STORE_MAX_AGE_MS = 2000
const REPORTS = 10

/** How the process sees what it depends on; see `Health`. */
interface Probed {
  readonly store: { readonly problem?: string }
  readonly broker: { readonly ok: boolean; readonly blocked: boolean; readonly problem?: string }
}

interface StoreReading {
  readonly services: readonly string[]
  readonly feed: readonly FeedState[]
  readonly bull: readonly JobCounts[]
  readonly sweep: readonly { readonly at: number; readonly durationMs: number }[]
}

export interface QueueReport extends Judgement {
  /** The store's time (ms), or this process's where it does not know that. */
  readonly at: number
  /** The services with handlers, which the store knows, or last knew. */
  readonly services: readonly string[]
  readonly queues: readonly QueueCount[]
  readonly bullmq: readonly JobCounts[]
  readonly feed: readonly FeedState[]
  /** Absent where no sweep of the last day is known; by the last reports read while the store is away. */
  readonly sweep?: SweepFacts
  readonly rabbitmq: Pick<RabbitReading, 'readAt' | 'leftOut' | 'more'> & {
    /** Absent where nothing tells of them. */
    readonly alarms?: readonly string[]
    readonly up: boolean
    readonly blocked: boolean
    /** Queues of known services that RabbitMQ does not have, and of which it told nothing. */
    readonly missing: readonly string[]
    readonly unknown: readonly string[]
  }
  readonly offered: RabbitReading['offered']
}

/** How a log stands, over all tenants and shards; see `LogTotals`. */
interface FeedState {
  readonly log: Log
  readonly tail: number
  readonly unsent: number
  readonly mostUnsent: number
  readonly oldestUnsentMs: number | null
}

/** How all queues are: RabbitMQ's, BullMQ's, and the entries that wait in the store. */
export class QueueHealth {
  readonly #store: Store
  readonly #backlogMax: number
  readonly #probed: () => Probed
  readonly #rabbit: CachedRead<RabbitReading>
  readonly #stored: CachedRead<StoreReading>
  #services: readonly string[] = []
  /** The last reports that were read: how long ago the last sweep was stays known while the store is away. */
  #sweep: StoreReading['sweep'] = []

  constructor(options: {
    store: Store
    handlers: HandlerStore
    upkeep: UpkeepStore
    bullQueues: readonly Queue[]
    rabbit: RabbitReader
    tenants: readonly string[]
    backlogMax: number
    probed: () => Probed
  }) {
    const { store, handlers, upkeep, bullQueues, rabbit, tenants } = options
    this.#store = store
    this.#backlogMax = options.backlogMax
    this.#probed = options.probed
    this.#rabbit = new CachedRead(RABBIT_MAX_AGE_MS, () => rabbit.read(this.#services))
    this.#stored = new CachedRead(STORE_MAX_AGE_MS, async () => {
      const [services, totals, reports, bull] = await Promise.all([
        handlers.names(tenants),
        readTotals(store, tenants),
        upkeep.reports(REPORTS),
        readBull(bullQueues),
      ])
      const sweep = reports.map((text) => parseStored(text) as StoreReading['sweep'][number])
      this.#services = services
      this.#sweep = sweep
      return { services, feed: logs.map((log) => feedOf(log, totals.logs[log])), bull, sweep }
    })
  }

  /** Never throws: what cannot be read is part of the answer. */
  async read(): Promise<QueueReport> {
    const { stored, problem } = await this.#readStore()
    // After the store, which knows whose queues there should be.
    const rabbit = await this.#rabbit.read()
    const { broker, store } = this.#probed()
    const { clock } = this.#store
    const at = clock.isSet ? Math.floor(clock.earliest(thisMoment())) : Date.now()
    const since = (from: number): number => Math.max(0, at - from)
    const sweep = sweepFactsOf(stored.sweep, at)
    const isUp = broker.ok || broker.blocked
    const judged = judgeQueues({
      storeProblem: problem ?? store.problem,
      broker: { isUp, isBlocked: broker.blocked, problem: broker.problem },
      alarms: rabbit.alarms ?? [],
      offered: rabbit.offered,
      counts: rabbit.counts,
      missing: rabbit.missing,
      unknown: rabbit.unknown,
      services: stored.services,
      jobs: stored.bull.map(({ queue, counts, lastFailedAt }) => ({
        queue,
        counts,
        lastFailedAgoMs: lastFailedAt === undefined ? undefined : since(lastFailedAt),
      })),
      logs: stored.feed.map(({ oldestUnsentMs, ...log }) => ({
        ...log,
        oldestUnsentMs: oldestUnsentMs ?? undefined,
      })),
      sweep,
      backlogMax: this.#backlogMax,
    })
    const { readAt, alarms, leftOut, more, offered } = rabbit
    return {
      at,
      ...judged,
      services: stored.services,
      queues: rabbit.counts,
      bullmq: stored.bull,
      feed: stored.feed,
      ...(sweep === undefined ? {} : { sweep }),
      rabbitmq: {
        up: isUp,
        blocked: broker.blocked,
        ...(alarms === undefined ? {} : { alarms }),
        readAt,
        missing: rabbit.missing.map(({ name }) => name),
        unknown: rabbit.unknown.map(({ name }) => name),
        leftOut,
        more,
      },
      offered,
    }
  }

  async #readStore(): Promise<{ stored: StoreReading; problem?: string }> {
    try {
      return { stored: await this.#stored.read() }
    } catch (error) {
      const { message: problem } = toStoreError(error)
      const known = { services: this.#services, sweep: this.#sweep }
      return { stored: { ...known, feed: [], bull: [] }, problem }
    }
  }
}

function feedOf(log: Log, { tail, unsent, mostUnsent, oldestMs }: LogTotals): FeedState {
  return { log, tail, unsent, mostUnsent, oldestUnsentMs: unsent === 0 ? null : oldestMs }
}
