/** One read serves everybody who comes while it is under way, and for `maxAgeMs` from its start on. One that fails is not kept. */
export class CachedRead<T> {
  readonly #maxAgeMs: number
  readonly #run: () => Promise<T>
  #current: { readonly startedAt: number; readonly value: Promise<T> } | undefined

  constructor(maxAgeMs: number, run: () => Promise<T>) {
    this.#maxAgeMs = maxAgeMs
    this.#run = run
  }

  /** `now`: a monotonic time in ms. */
  read(now: number = performance.now()): Promise<T> {
    const { startedAt = -Infinity, value: kept } = this.#current ?? {}
    if (kept !== undefined && now - startedAt < this.#maxAgeMs) return kept
    const value = this.#run()
    const current = { startedAt: now, value }
    this.#current = current
    value.catch(() => {
      if (this.#current === current) this.#current = undefined
    })
    return value
  }
}
