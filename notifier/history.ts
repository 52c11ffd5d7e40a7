import { LatencySketch } from '../shared/domain/latency-sketch.ts'

/** How long a slot is, ms, and how many are kept: an hour. */
export const SLOT_MS = 10_000
const SLOTS = 360
/** What is told as of now is of the last minute. */
const NOW_SLOTS = 6

/** What came in one slot. `perSecond` values are null where they cannot be told. */
export interface Slot {
  /** When it began, ms since the Unix epoch. */
  readonly at: number
  /** Push latencies, null where nothing was pushed. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  /** Entries of revocations that were pushed. */
  readonly count: number
  readonly revocationsPerSecond: number
  readonly expiriesPerSecond: number | null
}

/** The last hour in memory, slot by slot: what a dashboard draws where nothing else keeps history. */
export class History {
  readonly #slots: Slot[] = []
  readonly #sketches: LatencySketch[] = []
  #current = new LatencySketch()
  #revocations = 0
  #begunAt: number
  #expired: number | undefined

  /** `now`: ms since the Unix epoch. */
  constructor(now: number) {
    this.#begunAt = now
  }

  pushed(ms: number): void {
    this.#current.add(ms)
  }

  revoked(count: number): void {
    this.#revocations += count
  }

  /** Ends the slot. `expired`: how many tokens were announced as expired, ever, where the store says so. */
  turn(now: number, expired: number | undefined): void {
    const seconds = Math.max(now - this.#begunAt, 1) / 1000
    const before = this.#expired
    // A store that counts less than before is another one.
    const isKnown = expired !== undefined && before !== undefined && expired >= before
    this.#slots.push({
      at: this.#begunAt,
      p50Ms: this.#current.quantile(0.5),
      p99Ms: this.#current.quantile(0.99),
      count: this.#current.count,
      revocationsPerSecond: round(this.#revocations / seconds),
      expiriesPerSecond: isKnown ? round((expired - before) / seconds) : null,
    })
    this.#sketches.push(this.#current)
    if (this.#slots.length > SLOTS) this.#slots.shift()
    if (this.#sketches.length > NOW_SLOTS) this.#sketches.shift()
    this.#current = new LatencySketch()
    this.#revocations = 0
    this.#begunAt = now
    this.#expired = expired
  }

  /** The slots of the last hour, oldest first; the one under way is not among them. */
  get hour(): readonly Slot[] {
    return this.#slots
  }

  /** The push latencies of the last minute. */
  now(): { p50Ms: number | null; p99Ms: number | null; count: number } {
    const all = new LatencySketch()
    for (const sketch of [...this.#sketches, this.#current]) all.merge(sketch)
    return { p50Ms: all.quantile(0.5), p99Ms: all.quantile(0.99), count: all.count }
  }
}

function round(perSecond: number): number {
  return Number(perSecond.toPrecision(3))
}
