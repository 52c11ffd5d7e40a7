import type { Tail } from '../domain/beat.ts'
import { termOf, type Position } from '../domain/position.ts'

/** Positions of which somebody waits to hear that they were applied, per shard the latest. */
export class Asked {
  readonly #tails = new Map<number, Tail>()

  add(shard: number, tail: Tail): void {
    this.#tails.set(shard, tail)
  }

  /** Forgets what has been reached. Returns whether that was the last of it. */
  settle(reachedOf: (shard: number) => Position): boolean {
    if (this.#tails.size === 0) return false
    for (const [shard, { epoch, seq }] of this.#tails) {
      const { term, seq: reached } = reachedOf(shard)
      const asked = termOf(epoch) ?? 0
      if (term > asked || (term === asked && reached >= seq)) this.#tails.delete(shard)
    }
    return this.#tails.size === 0
  }
}
