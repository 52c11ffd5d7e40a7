import { PackedFilter } from './packed-filter.ts'
import {
  BODY_WORDS,
  bytesOf,
  closeSlot,
  EMPTY,
  grown,
  KEY_BITS,
  lowerBound,
  META_BITS,
  openSlot,
  respread,
  shrunk,
  SLOT_BITS,
  tightened,
  VOID,
  type Segment,
} from './packed-segment.ts'
import { isUuidLong, parseUuid, parseUuidAt, uuidOf, wordAt, words } from './uuid-words.ts'

/** The fields of one record. Reading them one by one, with the methods of the table, allocates nothing. */
export interface PackedRecord {
  /** NumericDate seconds as stored: a multiple of 1024. */
  until: number
  reason: number
  termIndex: number
  seq: number
}

// A 32-bit hash stands in for the first word of an id: it is a keyed mix of the first and the last
// word from which, given the last, the first can be had back. So asking for an id that is not there
// parses half of it and reads a few neighbouring keys, and nothing else. The highest bits choose
// one of the segments, so that only one 512th of the table grows at a time; the others are the key.
const SEGMENTS = 1 << (32 - KEY_BITS)
const MAX_KEY = (1 << KEY_BITS) - 1
const MAX_SLOT = (1 << SLOT_BITS) - 1
const META = (1 << META_BITS) - 1
const NO_SEGMENTS: readonly Segment[] = Array.from({ length: SEGMENTS }, () => EMPTY)

/** One less than four bits allow, so that no record looks like an empty slot. */
const MAX_REASON = 14
const MAX_TERM_INDEX = 15
const MAX_UINT32 = 0xffffffff
/** Only so many ids may have one hash: whoever makes many on purpose makes no scan long. */
const MAX_EQUAL = 32

/** `until` is kept in units of so many seconds, counted from the base of the table: 776 days in all. */
const UNTIL_UNIT = 1024
const MAX_UNITS = 0xffff
/** The base lies so far before the first `until`; and is moved when it lies as far before the present, to nearer by. */
const BASE_BEFORE = 0x8000
const BASE_AFTER_MOVE = 0x1000

/** How many records a pruning step looks at for each one that it may remove. */
const VISITS_PER_REMOVAL = 64
/** How many parts of the filter a pruning step fills that are still to be. */
const FILLED_PER_STEP = 16

function mix(value: number): number {
  let mixed = value ^ (value >>> 16)
  mixed = Math.imul(mixed, 0x7feb352d)
  mixed ^= mixed >>> 15
  mixed = Math.imul(mixed, 0x846ca68b)
  return mixed ^ (mixed >>> 16)
}

function unmix(mixed: number): number {
  let value = mixed ^ (mixed >>> 16)
  value = Math.imul(value, 0x43021123)
  value ^= (value >>> 15) ^ (value >>> 30)
  value = Math.imul(value, 0x1d69e2a5)
  return value ^ (value >>> 16)
}

function assertUint(name: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${name} must be an integer from 0 to ${max}, got ${value}`)
  }
}

function assertFields(until: number, reason: number, termIndex: number, seq: number): void {
  if (!(until >= 0 && until <= MAX_UINT32)) {
    throw new RangeError(`until must be from 0 to ${MAX_UINT32}, got ${until}`)
  }
  assertUint('reason', reason, MAX_REASON)
  assertUint('termIndex', termIndex, MAX_TERM_INDEX)
  assertUint('seq', seq, MAX_UINT32)
}

/**
 * Revoked token ids that are canonical lower-case UUIDs, each with one plain revocation, in 23 to
 * 24 bytes apiece outside the JavaScript heap. Ids are compared whole, so there are no false
 * positives; any other string is simply absent.
 *
 * The number of a record is its place, and places shift: it means nothing after the next `set`,
 * `delete`, `prune` or `clear`.
 */
export class PackedJtis {
  readonly #seed: number
  #segments: Segment[]
  #filter = new PackedFilter()
  #size: number
  /** The unit of time from which every `until` is counted. */
  #base = 0
  /** The key where the next pruning step begins, and its segment. */
  #cursor: { index: number; key: number }
  #isLoose = false
  /** The segment at which tightening goes on. */
  #toTighten = SEGMENTS

  /** `seed`: any number, kept secret from whoever chooses ids; absent: a random one. */
  constructor(options: { seed?: number } = {}) {
    this.#seed = mix(options.seed ?? Math.floor(Math.random() * 0x100000000))
    this.#segments = NO_SEGMENTS.slice()
    this.#size = 0
    this.#cursor = { index: 0, key: 0 }
  }

  get size(): number {
    return this.#size
  }

  /** Bytes of all typed arrays of this table. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + bytesOf(segment), this.#filter.bytes)
  }

  /** Whether this string is a canonical lower-case UUID (RFC 9562, section 4), the form this table can hold. */
  static fits(jti: string): boolean {
    return parseUuid(jti)
  }

  /** The record number of an id, or -1. A string that does not fit gives -1. */
  find(jti: string): number {
    if (!isUuidLong(jti)) return -1
    const hash = this.#hash(wordAt(jti, 0), wordAt(jti, 28))
    if (!this.#filter.mayHold(hash)) return -1
    const segment = this.#segments[hash >>> KEY_BITS] as Segment
    const slot = lowerBound(segment, hash & MAX_KEY)
    if ((segment.keys[slot] as number) >>> META_BITS !== (hash & MAX_KEY)) return -1
    return parseUuid(jti) ? this.#locate(hash) : -1
  }

  read(record: number): PackedRecord {
    return {
      until: this.until(record),
      reason: this.reason(record),
      termIndex: this.termIndex(record),
      seq: this.seq(record),
    }
  }

  until(record: number): number {
    const unit = this.#segmentOf(record).untils[record & MAX_SLOT] as number
    return (this.#base + unit) * UNTIL_UNIT
  }

  reason(record: number): number {
    return (this.#meta(record) >>> 4) & 15
  }

  termIndex(record: number): number {
    return this.#meta(record) & 15
  }

  seq(record: number): number {
    const { bodies } = this.#segmentOf(record)
    return (bodies[(record & MAX_SLOT) * BODY_WORDS + 3] as number) >>> 0
  }

  /**
   * Adds or replaces; `until` (NumericDate seconds) is rounded up to 1024 s. Returns whether it did:
   * it changes nothing where `until` is more than a year from those of the other records, or where
   * very many ids have the same hash.
   *
   * @throws TypeError when the id does not fit.
   * @throws RangeError when `until` is not within 0..2^32-1, or `reason`, `termIndex` or `seq` not
   *   an integer within 0..14, 0..15, 0..2^32-1.
   */
  set(jti: string, until: number, reason: number, termIndex: number, seq: number): boolean {
    assertFields(until, reason, termIndex, seq)
    if (!parseUuid(jti)) throw new TypeError('jti is not a canonical lower-case UUID')
    const unit = this.#unitOf(until)
    if (unit === -1) return false
    const hash = this.#hash(words[0] as number, words[3] as number)
    const found = this.#locate(hash)
    const record = found >= 0 ? found : this.#insert(hash)
    if (record < 0) return false
    this.#write(record, hash, unit, (reason << 4) | termIndex, seq)
    return true
  }

  /**
   * As `set`, of the 36 characters of a text that begin at `at`, all of which must be there. Returns
   * false and changes nothing also where they are no id that fits, or one that the table has.
   */
  add(
    text: string,
    at: number,
    until: number,
    reason: number,
    termIndex: number,
    seq: number,
  ): boolean {
    assertFields(until, reason, termIndex, seq)
    if (!parseUuidAt(text, at)) return false
    const unit = this.#unitOf(until)
    if (unit === -1) return false
    const hash = this.#hash(words[0] as number, words[3] as number)
    if (this.#locate(hash) >= 0) return false
    const record = this.#insert(hash)
    if (record < 0) return false
    this.#write(record, hash, unit, (reason << 4) | termIndex, seq)
    return true
  }

  /** Whether there was such an id. Its memory serves later ids, until `prune` gives it back. */
  delete(jti: string): boolean {
    const record = this.find(jti)
    if (record < 0) return false
    this.#remove(this.#segmentOf(record), record & MAX_SLOT)
    return true
  }

  /**
   * Removes records whose stored `until` is before `now`: at most `limit` of them, looking at about
   * 64 times as many places at most. The next call goes on where this one stopped; `done` says that
   * a pass is complete, and that the next call starts another. A pass sees every record that is
   * there all the time it takes, whatever else changes meanwhile. It also gives back memory, so
   * that after it most of what the table holds is in use.
   */
  prune(now: number, limit: number): { removed: number; done: boolean } {
    this.#filter.catchUp(FILLED_PER_STEP, this.#keysOf)
    let removed = 0
    let visits = limit * VISITS_PER_REMOVAL
    let { index, key: start } = this.#cursor
    for (; index < SEGMENTS; index++, start = 0) {
      const segment = this.#segments[index] as Segment
      if (segment === EMPTY) continue
      const { keys, untils } = segment
      let slot = lowerBound(segment, start)
      while (slot < keys.length) {
        const word = keys[slot] as number
        if (word !== VOID && (removed >= limit || visits <= 0)) {
          this.#cursor = { index, key: word >>> META_BITS }
          return { removed, done: false }
        }
        visits--
        if (word !== VOID && (this.#base + (untils[slot] as number)) * UNTIL_UNIT < now) {
          // The next record of the run, if there is one, moves into this slot.
          this.#remove(segment, slot)
          removed++
        } else {
          slot++
        }
      }
      if (!this.#isLoose) this.#segments[index] = shrunk(segment)
      this.#filter.fill(index, keys)
      if (visits < 0) {
        this.#cursor = { index: index + 1, key: 0 }
        return { removed, done: false }
      }
    }
    this.#cursor = { index: 0, key: 0 }
    this.#filter.fit(this.#size)
    this.#moveBase(now)
    return { removed, done: true }
  }

  /** From now on new records are put in several times faster, and take up to twice the memory, until `tighten`. */
  loosen(): void {
    this.#isLoose = true
    this.#toTighten = 0
  }

  /**
   * Ends that, and gives the memory back, going through about `limit` records. Returns whether it is
   * done; else it is to be called again. Where nothing was loosened it is done.
   */
  tighten(limit: number): boolean {
    this.#isLoose = false
    this.#filter.fit(this.#size)
    for (let looked = 0; this.#toTighten < SEGMENTS; this.#toTighten++) {
      if (looked >= limit) return false
      const segment = this.#segments[this.#toTighten] as Segment
      this.#segments[this.#toTighten] = tightened(segment)
      this.#filter.catchUp(1, this.#keysOf)
      looked += segment.count
    }
    return true
  }

  /** Calls `fn` for every record, in no order to rely on. It may delete the id that it is given, and change nothing else. */
  forEach(fn: (jti: string, record: number) => void): void {
    for (const [index, { keys }] of this.#segments.entries()) {
      // From the end, since deleting a record moves only later ones.
      for (let slot = keys.length - 1; slot >= 0; slot--) {
        if (keys[slot] !== VOID) fn(this.#jti(index, slot), (index << SLOT_BITS) | slot)
      }
    }
  }

  /** Removes every record and gives the memory back. */
  clear(): void {
    this.#segments = NO_SEGMENTS.slice()
    this.#filter = new PackedFilter()
    this.#size = 0
    this.#cursor = { index: 0, key: 0 }
  }

  /** -1 where it is out of reach. */
  #unitOf(until: number): number {
    const time = Math.ceil(until / UNTIL_UNIT)
    if (this.#size === 0) this.#base = time - BASE_BEFORE
    const unit = time - this.#base
    return unit < 0 || unit > MAX_UNITS ? -1 : unit
  }

  #write(record: number, hash: number, unit: number, meta: number, seq: number): void {
    const { keys, bodies, untils } = this.#segmentOf(record)
    const slot = record & MAX_SLOT
    keys[slot] = ((hash & MAX_KEY) << META_BITS) | meta
    bodies[slot * BODY_WORDS + 3] = seq
    untils[slot] = unit
  }

  #hash(first: number, last: number): number {
    return mix(mix(this.#seed ^ last) ^ first)
  }

  readonly #keysOf = (index: number): Int32Array => (this.#segments[index] as Segment).keys

  #segmentOf(record: number): Segment {
    return this.#segments[record >>> SLOT_BITS] as Segment
  }

  #meta(record: number): number {
    return (this.#segmentOf(record).keys[record & MAX_SLOT] as number) & META
  }

  #jti(index: number, slot: number): string {
    const { keys, bodies } = this.#segments[index] as Segment
    const hash = (index << KEY_BITS) | ((keys[slot] as number) >>> META_BITS)
    const [b, c, d] = bodies.subarray(slot * BODY_WORDS) as unknown as [number, number, number]
    return uuidOf(unmix(hash) ^ mix(this.#seed ^ d), b, c, d)
  }

  /** The record of the parsed id, or -1. */
  #locate(hash: number): number {
    const index = hash >>> KEY_BITS
    const key = hash & MAX_KEY
    const segment = this.#segments[index] as Segment
    const { keys, bodies } = segment
    for (let slot = lowerBound(segment, key); hasKey(keys[slot], key); slot++) {
      const body = slot * BODY_WORDS
      if (
        bodies[body] === words[1] &&
        bodies[body + 1] === words[2] &&
        bodies[body + 2] === words[3]
      ) {
        return (index << SLOT_BITS) | slot
      }
    }
    return -1
  }

  /** Makes a record of the parsed id, which is not in the table; -1 where too many have its hash. */
  #insert(hash: number): number {
    const index = hash >>> KEY_BITS
    const key = hash & MAX_KEY
    const segment = grown(this.#segments[index] as Segment, this.#isLoose)
    this.#segments[index] = segment
    const slot = lowerBound(segment, key)
    if (hasKey(segment.keys[slot + MAX_EQUAL - 1], key)) return -1
    if (!openSlot(segment, slot)) {
      this.#segments[index] = respread(segment, segment.capacity)
      return this.#insert(hash)
    }
    const body = slot * BODY_WORDS
    segment.keys[slot] = key << META_BITS
    segment.bodies[body] = words[1] as number
    segment.bodies[body + 1] = words[2] as number
    segment.bodies[body + 2] = words[3] as number
    segment.count++
    this.#size++
    this.#filter.add(hash)
    // While very many come at once the filter would be begun anew again and again.
    if (!this.#isLoose) {
      this.#filter.fit(this.#size)
      this.#filter.catchUp(1, this.#keysOf)
    }
    return (index << SLOT_BITS) | slot
  }

  #remove(segment: Segment, slot: number): void {
    closeSlot(segment, slot)
    segment.count--
    this.#size--
  }

  /** Keeps the present within reach. What a pass has left lies after `now`, and what does not is due all the same. */
  #moveBase(now: number): void {
    const present = Math.floor(Math.min(now, MAX_UINT32) / UNTIL_UNIT)
    if (present - this.#base < BASE_BEFORE + BASE_AFTER_MOVE) return
    const moved = present - BASE_AFTER_MOVE - this.#base
    for (const { untils } of this.#segments) {
      for (const [slot, unit] of untils.entries()) untils[slot] = Math.max(0, unit - moved)
    }
    this.#base += moved
  }
}

/** Whether a record's word, where there is a record, has this key. */
function hasKey(word: number | undefined, key: number): boolean {
  return word !== undefined && word >>> META_BITS === key && word !== VOID
}
