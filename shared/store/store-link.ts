import type { Logger } from 'pino'
import { KnellError } from '../domain/errors.ts'
import { tlsProblemOf } from '../tls/tls-problem.ts'

/** Why the store cannot be connected to, where that needs somebody to act. Commands only hear that it does not answer. */
export class StoreLink {
  readonly #log: Logger
  #problem: string | undefined

  constructor(log: Logger) {
    this.#log = log
  }

  get problem(): string | undefined {
    return this.#problem
  }

  /** Logged once for as long as it stays the same: connecting is tried again and again. */
  failed(error: Error): void {
    const tls = tlsProblemOf(error)
    if (tls === undefined) {
      this.#log.debug({ err: error }, 'store connection')
      return
    }
    const known = new KnellError('tls_failed', `The store ${tls}.`, { cause: error })
    if (known.message !== this.#problem) this.#log.warn({ code: known.code }, known.message)
    this.#problem = known.message
  }

  succeeded(): void {
    this.#problem = undefined
  }
}
