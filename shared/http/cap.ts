import type { ServerResponse } from 'node:http'
import { KnellError } from '../domain/errors.ts'

/** Counts what each owner, such as an API key, has under way, and refuses what is past the most. */
export class Cap {
  readonly #most: number
  readonly #what: string
  readonly #owner: string
  readonly #counts = new Map<string, number>()

  /** `what`: the things that are counted, and `owner` who has them, for the message. */
  constructor(most: number, what: string, owner = 'API key') {
    this.#most = most
    this.#what = what
    this.#owner = owner
  }

  /**
   * Counts one more; the function that it returns counts it down, once, however often it is called.
   * @throws KnellError `too_many_requests`
   */
  take(owner: string): () => void {
    const count = this.#counts.get(owner) ?? 0
    if (count >= this.#most) {
      throw new KnellError(
        'too_many_requests',
        `This ${this.#owner} has ${this.#most} ${this.#what} under way at this process, and no more are taken; try again in a moment.`,
      )
    }
    this.#counts.set(owner, count + 1)
    let given = false
    return () => {
      if (given) return
      given = true
      const left = (this.#counts.get(owner) ?? 1) - 1
      if (left > 0) this.#counts.set(owner, left)
      else this.#counts.delete(owner)
    }
  }

  /** Counts one until its answer has been sent or its caller is gone. @throws KnellError `too_many_requests` */
  takeFor(owner: string, response: ServerResponse): void {
    const give = this.take(owner)
    if (response.closed || response.destroyed) give()
    else response.once('close', give)
  }

  /** How many an owner has under way. */
  of(owner: string): number {
    return this.#counts.get(owner) ?? 0
  }
}
