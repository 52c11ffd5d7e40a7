/** One read at a time: whoever comes while one is under way gets the next, all of them the same. */
export class SharedRead<T> {
  readonly #run: () => Promise<T>
  #running: Promise<T> | undefined
  #next: Promise<T> | undefined
  #last: { readonly at: number; readonly value: T } | undefined

  constructor(run: () => Promise<T>) {
    this.#run = run
  }

  read(maxAgeMs: number): Promise<T> {
    const { at = -Infinity, value } = this.#last ?? {}
    if (performance.now() - at < maxAgeMs) return Promise.resolve(value as T)
    if (this.#running === undefined) return this.#start()
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    )
    return this.#next
  }

  /** What was read last, where that read began at most `maxAgeMs` ago. */
  latest(maxAgeMs: number): T | undefined {
    const { at = -Infinity, value } = this.#last ?? {}
    return performance.now() - at <= maxAgeMs ? value : undefined
  }

  #start(): Promise<T> {
    this.#next = undefined
    const at = performance.now()
    const running = this.#run()
      .then((value) => {
        this.#last = { at, value }
        return value
      })
      .finally(() => {
        if (this.#running === running) this.#running = undefined
      })
    this.#running = running
    return running
  }
}
