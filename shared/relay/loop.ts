import type { Logger } from 'pino'
import { isKnellError } from '../domain/errors.ts'

/** Runs one pass after another, `intervalMs` apart, until stopped. A pass that fails is logged and the next one tries again. */
export class Loop {
  readonly #name: string
  readonly #intervalMs: number
  readonly #pass: () => Promise<unknown>
  readonly #log: Logger
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #stopped = true

  constructor(name: string, intervalMs: number, pass: () => Promise<unknown>, log: Logger) {
    this.#name = name
    this.#intervalMs = intervalMs
    this.#pass = pass
    this.#log = log
  }

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.#schedule()
  }

  #schedule(): void {
    if (this.#stopped) return
    // One that was stopped and started during a pass has its next one planned already.
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#running = this.#run()
    }, this.#intervalMs)
  }

  async #run(): Promise<void> {
    try {
      await this.#pass()
    } catch (error) {
      const level = isKnellError(error) && error.retryable ? 'debug' : 'error'
      this.#log[level]({ err: error }, `${this.#name}: the pass failed; the next one tries again`)
    }
    this.#schedule()
  }

  /** Ends after the pass under way. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#running
  }
}
