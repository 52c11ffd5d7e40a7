/** The bounds between which latencies are told apart, in ms, and by how much one step is longer than the last. */
const LEAST_MS = 0.1
const MOST_MS = 600_000
const STEP = 1.05
const STEPS: number = Math.ceil(Math.log(MOST_MS / LEAST_MS) / Math.log(STEP)) + 1

/** Counts latencies in steps of 5 %, so that quantiles of any number of them take the same memory. */
export class LatencySketch {
  readonly #counts = new Uint32Array(STEPS)
  #count = 0

  get count(): number {
    return this.#count
  }

  add(ms: number): void {
    const step = Math.ceil(Math.log(Math.max(ms, LEAST_MS) / LEAST_MS) / Math.log(STEP))
    const index = Math.min(step, STEPS - 1)
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
    this.#count += 1
  }

  /** Takes in all that another has counted. */
  merge(other: LatencySketch): void {
    for (const [i, count] of other.#counts.entries()) {
      this.#counts[i] = (this.#counts[i] ?? 0) + count
    }
    this.#count += other.#count
  }

  /** The latency (ms) at or below which the share `q` (0 to 1) lies, at most 5 % too long; null where there is none. */
  quantile(q: number): number | null {
    if (this.#count === 0) return null
    const rank = Math.max(1, Math.ceil(q * this.#count))
    let seen = 0
    for (const [i, count] of this.#counts.entries()) {
      seen += count
      if (seen >= rank) return Number((LEAST_MS * STEP ** i).toPrecision(3))
    }
    return null
  }
}
