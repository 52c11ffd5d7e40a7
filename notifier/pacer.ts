/** So long may work hold the event loop before whatever else waits for it comes first. */
const SLICE_MS = 4

/**
 * Keeps long work, such as verifying thousands of tokens, from holding up other calls: however many
 * loops ask before each step, together they work for a few ms at a time, a step of each in turn.
 */
export class Pacer {
  #since = performance.now()
  #tick: Promise<void> | undefined

  /** Resolves at once, or after the event loop has been round where the time is used up. */
  async pace(): Promise<void> {
    while (performance.now() - this.#since > SLICE_MS) {
      this.#tick ??= new Promise((resolve) => {
        setImmediate(() => {
          this.#tick = undefined
          this.#since = performance.now()
          resolve()
        })
      })
      await this.#tick
    }
  }
}
