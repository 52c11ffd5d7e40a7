import { KnellError } from '../domain/errors.ts'
import { turnsLater } from './turns-later.ts'

interface Waiting<Item, Answer> {
  readonly item: Item
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/**
 * Joins calls that arrive while a write is in flight into the next write. An idle group writes as soon
 * as all is looked at that was read in the same turn of the event loop: no timer, no delay, and what
 * came at once is written at once. A busy one batches by itself. At most `maxPending` items wait; beyond
 * that calls fail with `too_many_requests`.
 */
export class GroupCommit<Item, Answer> {
  readonly #write: (items: readonly Item[]) => Promise<readonly Answer[]>
  readonly #maxItems: number
  readonly #maxPending: number
  #waiting: Waiting<Item, Answer>[] = []
  #writing = false

  constructor(options: {
    /** Writes a group and answers one result per item, in order. A rejection fails the whole group. */
    write: (items: readonly Item[]) => Promise<readonly Answer[]>
    maxItems: number
    maxPending?: number
  }) {
    this.#write = options.write
    this.#maxItems = options.maxItems
    this.#maxPending = options.maxPending ?? 10_000
  }

  add(item: Item): Promise<Answer> {
    if (this.#waiting.length >= this.#maxPending) {
      return Promise.reject(
        new KnellError(
          'too_many_requests',
          'Too many writes are waiting for the store; slow down and try again.',
        ),
      )
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (this.#writing) return
      this.#writing = true
      void this.#drain()
    })
  }

  get idle(): boolean {
    return !this.#writing && this.#waiting.length === 0
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      await turnsLater(1)
      const group = this.#waiting.splice(0, this.#maxItems)
      try {
        const answers = await this.#write(group.map(({ item }) => item))
        for (const [i, { resolve }] of group.entries()) resolve(answers[i] as Answer)
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    this.#writing = false
  }
}
