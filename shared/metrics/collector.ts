import type { MetricName } from './metrics-table.ts'

/** One value to be exposed. */
export interface Sample {
  readonly name: MetricName
  readonly value: number
  readonly labels?: Readonly<Record<string, string>>
}

/** What is read when somebody scrapes. */
export interface Collector {
  /** The metrics that only this collector sets. */
  readonly names: readonly MetricName[]
  /** Scrapes within so many ms of a read share it. Default: 2000. */
  readonly maxAgeMs?: number
  /** Reads the values. Where it fails or takes too long the metrics are absent, but for `otherwise`. */
  read(): Promise<readonly Sample[]> | readonly Sample[]
  readonly otherwise?: readonly Sample[]
}

const MAX_AGE_MS = 2000
/** A scrape waits no longer than this for what it reads: Prometheus gives up after 10 s. */
const PATIENCE_MS = 1000

/** Reads at most one at a time, and never makes its caller wait for long. */
export class Collection {
  readonly collector: Collector
  #samples: readonly Sample[] = []
  #readAt = Number.NEGATIVE_INFINITY
  #running: Promise<void> | undefined

  constructor(collector: Collector) {
    this.collector = collector
    this.#samples = collector.otherwise ?? []
  }

  /** The values as they are now, or were a moment ago. Never fails. */
  async samples(): Promise<readonly Sample[]> {
    const { maxAgeMs = MAX_AGE_MS } = this.collector
    if (performance.now() - this.#readAt < maxAgeMs) return this.#samples
    this.#running ??= this.#read()
    const isDone = await within(PATIENCE_MS, this.#running)
    // What is read later is for the next scrape: what is known from before may not be so any more.
    return isDone ? this.#samples : (this.collector.otherwise ?? [])
  }

  async #read(): Promise<void> {
    try {
      this.#samples = await this.collector.read()
    } catch {
      this.#samples = this.collector.otherwise ?? []
    }
    this.#readAt = performance.now()
    this.#running = undefined
  }
}

/** Whether the work was done in time. */
async function within(ms: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  const isDone = await Promise.race([work.then(() => true), late])
  clearTimeout(timer)
  return isDone
}
