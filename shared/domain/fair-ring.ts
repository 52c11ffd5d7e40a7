/**
 * Keeps the newest items of many owners, so many in all. An owner with more than its share makes
 * room first, so that one owner's flood pushes out none of the others'.
 */
export class FairRing<T> {
  readonly #most: number
  readonly #owners = new Map<string, Map<string, T>>()
  #size = 0

  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#size
  }

  /** Adds an item under a key that is new to its owner; returns what had to go for it. */
  add(owner: string, key: string, item: T): T | undefined {
    const own = this.#owners.get(owner) ?? new Map<string, T>()
    this.#owners.set(owner, own)
    own.set(key, item)
    this.#size += 1
    if (this.#size <= this.#most) return undefined
    const isOverShare = own.size > this.#most / this.#owners.size
    return this.#dropOldest(isOverShare ? owner : this.#largest())
  }

  get(owner: string, key: string): T | undefined {
    return this.#owners.get(owner)?.get(key)
  }

  /** An owner's items, oldest first. */
  of(owner: string): Iterable<T> {
    return this.#owners.get(owner)?.values() ?? []
  }

  remove(owner: string, key: string): void {
    const own = this.#owners.get(owner)
    if (own?.delete(key) !== true) return
    this.#size -= 1
    if (own.size === 0) this.#owners.delete(owner)
  }

  #largest(): string {
    let [largest, most] = ['', 0]
    for (const [owner, { size }] of this.#owners) if (size > most) [largest, most] = [owner, size]
    return largest
  }

  #dropOldest(owner: string): T | undefined {
    const [oldest] = this.#owners.get(owner) ?? []
    if (oldest === undefined) return undefined
    this.remove(owner, oldest[0])
    return oldest[1]
  }
}
