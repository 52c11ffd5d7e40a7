import type { Tail } from '../domain/beat.ts'
import { termOf, type Position } from '../domain/position.ts'
import { readTails } from './read-tails.ts'
import type { Store } from './store.ts'

/**
 * Tells positions that can have been applied from those that cannot: within a term a shard's tail only
 * grows, so nobody has applied what lies past it. Without this one false word would count for whatever
 * is revoked later. The tails are read only where those of the last time do not cover what is said.
 */
export class KnownTails {
  readonly #store: Store
  readonly #last = new Map<string, readonly Tail[]>()

  constructor(store: Store) {
    this.#store = store
  }

  /** Per instance's positions, of each shard one, whether the tails reach that far. @throws KnellError `store_*` */
  async reach(tenant: string, said: readonly (readonly Position[])[]): Promise<boolean[]> {
    const last = this.#last.get(tenant)
    if (last !== undefined && said.every((applied) => covers(last, applied))) {
      return said.map(() => true)
    }
    if (said.every(({ length }) => length === 0)) return said.map(() => true)
    const tails = await readTails(this.#store, tenant)
    this.#last.set(tenant, tails)
    return said.map((applied) => !exceeds(tails, applied))
  }
}

/** Whether all of it lies within these tails, in their terms. */
function covers(tails: readonly Tail[], applied: readonly Position[]): boolean {
  return applied.every(({ term, seq }, shard) => {
    const tail = tails[shard]
    return tail !== undefined && termOf(tail.epoch) === term && seq <= tail.seq
  })
}

/** Whether some of it lies past a tail of its own term, or in a shard that there is not. */
function exceeds(tails: readonly Tail[], applied: readonly Position[]): boolean {
  return applied.some(({ term, seq }, shard) => {
    const tail = tails[shard]
    return tail === undefined || (termOf(tail.epoch) === term && seq > tail.seq)
  })
}
