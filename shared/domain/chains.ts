import type { WordRows } from './word-rows.ts'

/** Stands for no row. */
export const NONE = -1

/** How many words of a row a chain needs: its hash, the next row, the previous one. */
export const CHAIN_WORDS = 3

const FIRST_BUCKETS = 16

/**
 * Finds rows by a hash. The links lie in the rows themselves, both ways, so that a row is taken out
 * without a search. It grows by linear hashing: each insertion parts one bucket at most, so no
 * insertion pays for all the others.
 */
export class Chains {
  readonly #rows: WordRows
  readonly #hash: number
  readonly #next: number
  readonly #previous: number
  #heads: Int32Array = new Int32Array(FIRST_BUCKETS).fill(NONE)
  /** Buckets in use; those from `mask + 1` on have been parted off in this round. */
  #buckets = FIRST_BUCKETS
  #mask: number = FIRST_BUCKETS - 1
  #size = 0

  /** The chain's words are those from `word` on. */
  constructor(rows: WordRows, word: number) {
    this.#rows = rows
    this.#hash = word
    this.#next = word + 1
    this.#previous = word + 2
  }

  get bytes(): number {
    return this.#heads.byteLength
  }

  #bucketOf(hash: number): number {
    const bucket = hash & (2 * this.#mask + 1)
    return bucket < this.#buckets ? bucket : hash & this.#mask
  }

  insert(row: number, hash: number): void {
    this.#rows.set(row, this.#hash, hash)
    this.#link(row, this.#bucketOf(hash))
    this.#size += 1
    if (this.#size > this.#buckets) this.#part()
  }

  #link(row: number, bucket: number): void {
    const head = this.#heads[bucket] as number
    this.#rows.set(row, this.#next, head)
    this.#rows.set(row, this.#previous, NONE)
    if (head !== NONE) this.#rows.set(head, this.#previous, row)
    this.#heads[bucket] = row
  }

  remove(row: number): void {
    const next = this.#rows.get(row, this.#next)
    const previous = this.#rows.get(row, this.#previous)
    if (next !== NONE) this.#rows.set(next, this.#previous, previous)
    if (previous === NONE) this.#heads[this.#bucketOf(this.#rows.get(row, this.#hash))] = next
    else this.#rows.set(previous, this.#next, next)
    this.#size -= 1
  }

  /** Parts one bucket in two. */
  #part(): void {
    const parted = this.#buckets & this.#mask
    if (this.#buckets === this.#heads.length) {
      const heads = new Int32Array(2 * this.#heads.length).fill(NONE)
      heads.set(this.#heads)
      this.#heads = heads
    }
    let row = this.#heads[parted] as number
    this.#heads[parted] = NONE
    this.#buckets += 1
    while (row !== NONE) {
      const next = this.#rows.get(row, this.#next)
      this.#link(row, this.#bucketOf(this.#rows.get(row, this.#hash)))
      row = next
    }
    if (this.#buckets > 2 * this.#mask + 1) this.#mask = 2 * this.#mask + 1
  }

  /** The first row with this hash, or `NONE`. Other values may have the same. */
  first(hash: number): number {
    return this.#seek(this.#heads[this.#bucketOf(hash)] as number, hash)
  }

  /** The next row with the hash of this one, or `NONE`. */
  after(row: number): number {
    return this.#seek(this.#rows.get(row, this.#next), this.#rows.get(row, this.#hash))
  }

  #seek(from: number, hash: number): number {
    let row = from
    while (row !== NONE && this.#rows.get(row, this.#hash) !== hash) {
      row = this.#rows.get(row, this.#next)
    }
    return row
  }

  clear(): void {
    this.#heads = new Int32Array(FIRST_BUCKETS).fill(NONE)
    this.#buckets = FIRST_BUCKETS
    this.#mask = FIRST_BUCKETS - 1
    this.#size = 0
  }
}
