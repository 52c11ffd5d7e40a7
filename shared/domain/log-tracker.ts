import type { Tail } from './beat.ts'
import { comparePositions, ORIGIN, termOf, type Position } from './position.ts'

/** What an arriving position means to a tracker. */
export type Arrival =
  /** Extends what is known without a hole. */
  | 'next'
  /** Lies past a hole. */
  | 'ahead'
  /** Was known already, or belongs to an older term. */
  | 'known'
  /** Belongs to an epoch the tracker has not entered: a snapshot is needed. */
  | 'foreign'

interface ShardState {
  epoch: string
  term: number
  seq: number
  /** Positions of this epoch past a hole. */
  readonly ahead: Set<number>
  /** Positions of other epochs, noted until a snapshot decides which epoch holds. */
  early: { epoch: string; seq: number }[]
}

/** Past this many positions beyond a hole, further ones are forgotten: the pull brings them again. */
const MAX_AHEAD = 100_000

/** Follows the highest contiguous position of each shard of one log. */
export class LogTracker {
  readonly #shards: ShardState[] = []
  readonly #keepsEarly: boolean

  /**
   * `keepsEarly`: whether positions of an epoch not yet entered count once it is. They may where
   * what they bring is state, merged on arrival; they must not where it is announced in order.
   */
  constructor(options: { keepsEarly: boolean }) {
    this.#keepsEarly = options.keepsEarly
  }

  #shard(shard: number): ShardState {
    let state = this.#shards[shard]
    if (state === undefined) {
      state = { epoch: '', term: 0, seq: 0, ahead: new Set(), early: [] }
      this.#shards[shard] = state
    }
    return state
  }

  /** Notes that the entry at this position has been applied. */
  note(shard: number, epoch: string, seq: number): Arrival {
    const state = this.#shard(shard)
    if (epoch !== state.epoch) {
      if ((termOf(epoch) ?? 0) < state.term) return 'known'
      if (this.#keepsEarly && state.early.length < MAX_AHEAD) state.early.push({ epoch, seq })
      return 'foreign'
    }
    if (seq <= state.seq || state.ahead.has(seq)) return 'known'
    if (seq > state.seq + 1) {
      if (state.ahead.size < MAX_AHEAD) state.ahead.add(seq)
      return 'ahead'
    }
    state.seq = seq
    this.#close(state)
    return 'next'
  }

  #close(state: ShardState): void {
    while (state.ahead.size > 0 && state.ahead.delete(state.seq + 1)) state.seq += 1
    if (state.ahead.size > 0) {
      for (const seq of state.ahead) if (seq <= state.seq) state.ahead.delete(seq)
    }
  }

  /**
   * Everything up to this tail is known, by snapshot or by pull. Never goes back: a lower position
   * of the same epoch, or a lower term, changes nothing.
   */
  reach(shard: number, tail: Tail): void {
    const state = this.#shard(shard)
    const term = termOf(tail.epoch) ?? 0
    if (tail.epoch === state.epoch) {
      if (tail.seq > state.seq) {
        state.seq = tail.seq
        this.#close(state)
      }
      return
    }
    if (term < state.term) return
    state.epoch = tail.epoch
    state.term = term
    state.seq = tail.seq
    state.ahead.clear()
    const early = state.early
    state.early = []
    for (const position of early) this.note(shard, position.epoch, position.seq)
  }

  epoch(shard: number): string {
    return this.#shards[shard]?.epoch ?? ''
  }

  position(shard: number): Position {
    const state = this.#shards[shard]
    return state ? { term: state.term, seq: state.seq } : ORIGIN
  }

  positions(shards: number): Position[] {
    return Array.from({ length: shards }, (_, shard) => this.position(shard))
  }

  /** The positions as tails, as acks carry them. */
  tails(shards: number): Tail[] {
    return Array.from({ length: shards }, (_, shard) => ({
      epoch: this.epoch(shard),
      seq: this.position(shard).seq,
    }))
  }

  /** Whether a position past a hole is known. */
  get hasHole(): boolean {
    return this.#shards.some((state) => state.ahead.size > 0)
  }

  /** How these tails of the store relate to what is known. */
  compare(tails: readonly Tail[]): 'reached' | 'behind' | 'foreign' | 'older' {
    let behind = false
    for (const [shard, tail] of tails.entries()) {
      const state = this.#shard(shard)
      if (tail.epoch !== state.epoch) {
        return (termOf(tail.epoch) ?? 0) < state.term ? 'older' : 'foreign'
      }
      if (tail.seq > state.seq) behind = true
    }
    return behind ? 'behind' : 'reached'
  }

  /** Whether an answer that ends at these tails lacks something already known: it comes from an older store state. */
  isBefore(tails: readonly Tail[]): boolean {
    return tails.some((tail, shard) => {
      const known = this.position(shard)
      return comparePositions({ term: termOf(tail.epoch) ?? 0, seq: tail.seq }, known) < 0
    })
  }
}
