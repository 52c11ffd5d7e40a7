const FIRST_BACKOFF_MS = 200
const MAX_BACKOFF_MS = 5000

/**
 * Pulls when told to, now and then while the push path is up, and by one long poll after another
 * while it is down. A pull that leaves something missing is repeated with back-off.
 */
export class PullLoop {
  readonly #isPushed: () => boolean
  /** Answers whether nothing known of is missing any more. */
  readonly #pull: (waitMs: number, signal: AbortSignal) => Promise<boolean>
  readonly #onProblem: (error: unknown) => void
  readonly #longPollMs: number
  readonly #renewMs: number
  #direct = 0
  #stopped = true
  #due = true
  #backoffMs = 0
  #wakeUp: (() => void) | undefined
  #current: AbortController | undefined
  #polling = false
  #running: Promise<void> | undefined

  constructor(options: {
    isPushed: () => boolean
    pull: (waitMs: number, signal: AbortSignal) => Promise<boolean>
    onProblem: (error: unknown) => void
    /** How long a long poll waits, in ms, while the push path is down: well below what counts as stale. */
    longPollMs: number
    /** A pull without waiting is made at least this often, in ms, whatever else goes on. */
    renewMs: number
  }) {
    this.#isPushed = options.isPushed
    this.#pull = options.pull
    this.#onProblem = options.onProblem
    this.#longPollMs = options.longPollMs
    this.#renewMs = options.renewMs
  }

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#current?.abort()
    this.#wakeUp?.()
    await this.#running
  }

  /** Something is, or may be, missing: pull now, unless this is a repeat in its back-off. */
  wake(): void {
    this.#due = true
    // A long poll under way would sit out its wait although the push path is back.
    if (this.#polling) this.#current?.abort()
    if (this.#backoffMs === 0) this.#wakeUp?.()
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const renewed = performance.now() - this.#direct < this.#renewMs
      const longPoll = !this.#due && renewed && !this.#isPushed()
      this.#due = false
      const complete = await this.#once(longPoll ? this.#longPollMs : 0)
      if (complete && !longPoll) this.#direct = performance.now()
      if (this.#stopped) return
      if (!complete) {
        this.#due = true
        this.#backoffMs = Math.min(Math.max(this.#backoffMs * 2, FIRST_BACKOFF_MS), MAX_BACKOFF_MS)
        await this.#sleep(this.#backoffMs * (0.5 + Math.random() / 2))
        continue
      }
      this.#backoffMs = 0
      if (!this.#due && this.#isPushed()) await this.#sleep(this.#renewMs)
    }
  }

  async #once(waitMs: number): Promise<boolean> {
    this.#current = new AbortController()
    this.#polling = waitMs > 0
    try {
      return await this.#pull(waitMs, this.#current.signal)
    } catch (error) {
      if (this.#current.signal.aborted) return true
      this.#onProblem(error)
      return false
    } finally {
      this.#polling = false
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#wakeUp = undefined
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#wakeUp = done
    })
  }
}
