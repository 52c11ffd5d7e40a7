import { KEY_BITS, META_BITS, VOID } from './packed-segment.ts'

const SEGMENTS = 1 << (32 - KEY_BITS)
const MAX_KEY = (1 << KEY_BITS) - 1
/** Below this the table itself is near enough to the processor. */
const MIN_SIZE = 65_536
/** How many ids one word of 32 bits stands for when it is made, and at most: between four and three and a half bits each. */
const PER_WORD = 8
const MAX_PER_WORD = 9

/**
 * Says of most ids that are not in a packed table that they are not, with one look at half a byte per
 * record: small enough to stay where a look costs a tenth of one at the table. Of an id that is there it never says so.
 *
 * It is a Bloom filter of two bits in one word per id. Each segment of the table has its own part of
 * it, which is filled anew from the segment's keys. A part that is not filled yet rules nothing out.
 */
export class PackedFilter {
  #words: Int32Array = new Int32Array(0)
  /** Words for each segment. */
  #width = 0
  /** The parts from here on are still to be filled. */
  #next = SEGMENTS

  get bytes(): number {
    return this.#words.byteLength
  }

  /** Whether the table may hold an id of this hash. */
  mayHold(hash: number): boolean {
    if (this.#width === 0) return true
    const bits = bitsOf(hash)
    return ((this.#words[this.#placeOf(hash)] as number) & bits) === bits
  }

  add(hash: number): void {
    if (this.#width === 0) return
    const place = this.#placeOf(hash)
    this.#words[place] = (this.#words[place] as number) | bitsOf(hash)
  }

  /** Begins anew where the table of `size` ids has become too large for it, or much too small. */
  fit(size: number): void {
    const capacity = this.#width * SEGMENTS * MAX_PER_WORD
    if (size < MIN_SIZE ? capacity === 0 : size <= capacity && size * 2 > capacity) return
    this.#width = size < MIN_SIZE ? 0 : Math.ceil(size / (SEGMENTS * PER_WORD))
    this.#words = new Int32Array(this.#width * SEGMENTS).fill(-1)
    this.#next = this.#width === 0 ? SEGMENTS : 0
  }

  /** Fills so many of the parts that are still to be filled. */
  catchUp(count: number, keysOf: (index: number) => Int32Array): void {
    const end = Math.min(SEGMENTS, this.#next + count)
    for (; this.#next < end; this.#next++) this.fill(this.#next, keysOf(this.#next))
  }

  /** Fills the part of one segment with what it holds now: what was deleted is ruled out again. */
  fill(index: number, keys: Int32Array): void {
    if (this.#width === 0) return
    const start = index * this.#width
    this.#words.fill(0, start, start + this.#width)
    for (const word of keys) if (word !== VOID) this.add((index << KEY_BITS) | (word >>> META_BITS))
  }

  #placeOf(hash: number): number {
    const inPart = Math.imul((hash & MAX_KEY) >>> 7, this.#width) >>> 16
    return (hash >>> KEY_BITS) * this.#width + inPart
  }
}

/** Two bits by the lowest ten of a hash, of which the place is made last. */
function bitsOf(hash: number): number {
  return (1 << (hash & 31)) | (1 << ((hash >>> 5) & 31))
}
