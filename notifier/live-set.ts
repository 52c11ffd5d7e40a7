import { comparePositions, type Position } from '../shared/domain/position.ts'
import type { Heard } from '../shared/relay/ack-ear.ts'
import type { Instance, Recorded } from '../shared/store/instance-store.ts'
import { isOwnWord, nameOf } from './waiter.ts'

/** A position of one shard, with the term that the shard is in now. */
export interface Spot {
  readonly shard: number
  readonly position: Position
  /** Of an entry that the store still has, where a view of this very term has taken it in by its snapshot; absent: only its own term counts. */
  readonly term?: number
}

interface Live {
  readonly instance: Instance
  applied: readonly Position[] | undefined
  /** When it was first known to have applied that, ms. */
  at: number
}

interface Said {
  readonly ack: Heard
  readonly at: number
}

/** Past so many instances that acked and are not known to live, the oldest words are forgotten; the store has them too. */
const MAX_HEARD = 2000

/**
 * The instances that could still let a dead token in, and what each has said to have applied: as a
 * waiter judges, for many entries at once. Times are the store's, ms.
 */
export class LiveSet {
  #live = new Map<string, Live>()
  readonly #heard = new Map<string, Said>()
  /** Whether every instance that lives has had the time to be heard of. */
  isSettled = false
  /** Whether one was heard whose user the store did not know when it was read: it says so once it has taken the ack. */
  isUnbound = false

  get size(): number {
    return this.#live.size
  }

  /** Takes what the store has recorded, read at `at`, together with what was heard since. */
  count({ instances, isSettled }: Recorded, at: number): void {
    const before = this.#live
    this.#live = new Map()
    this.isSettled = isSettled
    this.isUnbound = false
    for (const instance of instances) {
      const name = nameOf(instance)
      const known = before.get(name)
      const live: Live = { instance, applied: known?.applied, at: known?.at ?? at }
      this.#live.set(name, live)
      reach(live, instance.applied, at)
      const said = this.#heard.get(name)
      if (said !== undefined) this.#take(name, live, said)
    }
    for (const name of this.#heard.keys()) if (!this.#live.has(name)) this.#heard.delete(name)
  }

  /** An ack came. */
  hear(ack: Heard, at: number): void {
    const name = nameOf(ack)
    this.#heard.delete(name)
    this.#heard.set(name, { ack, at })
    if (this.#heard.size > this.#live.size + MAX_HEARD) {
      const [oldest] = this.#heard.keys()
      if (oldest !== undefined) this.#heard.delete(oldest)
    }
    const live = this.#live.get(name)
    if (live !== undefined) this.#take(name, live, { ack, at })
  }

  #take(name: string, live: Live, { ack, at }: Said): void {
    if ('user' in ack.by && live.instance.user === undefined) this.isUnbound = true
    if (!isOwnWord(live.instance, ack)) return
    if (ack.left) this.#live.delete(name)
    else reach(live, ack.applied, at)
  }

  /** The live instances that have not said to have applied what is at this spot. */
  missing(spot: Spot): Instance[] {
    const missing: Instance[] = []
    for (const { instance, applied } of this.#live.values()) {
      if (!covers(applied?.[spot.shard], spot)) missing.push(instance)
    }
    return missing
  }

  /** The lowest position that any live instance has applied in a shard, and when the last of them said so; undefined where one has said nothing, or there is none. */
  floor(shard: number): { position: Position; at: number } | undefined {
    let floor: { position: Position; at: number } | undefined
    for (const { applied, at } of this.#live.values()) {
      const position = applied?.[shard]
      if (position === undefined) return undefined
      const isLower = floor === undefined || comparePositions(position, floor.position) < 0
      floor = {
        position: isLower ? position : (floor?.position ?? position),
        at: Math.max(at, floor?.at ?? at),
      }
    }
    return floor
  }
}

function covers(applied: Position | undefined, { position, term }: Spot): boolean {
  if (applied === undefined) return false
  if (applied.term === position.term) return applied.seq >= position.seq
  return applied.term > position.term && applied.term === term
}

/** Moves an instance on; a word that is older than what is known says nothing. */
function reach(live: Live, applied: readonly Position[] | undefined, at: number): void {
  if (applied === undefined || applied.length === 0) return
  const { applied: known } = live
  const isNews =
    known === undefined ||
    applied.some((position, shard) => comparePositions(position, known[shard] ?? position) > 0)
  if (!isNews) return
  live.applied =
    known === undefined
      ? applied
      : applied.map((position, shard) => {
          const old = known[shard]
          return old !== undefined && comparePositions(old, position) > 0 ? old : position
        })
  live.at = at
}
