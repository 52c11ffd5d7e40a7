/** The fields of one record. Reading them one by one, with the methods of the table, allocates nothing. */
export interface PackedRecord {
  /** NumericDate seconds as stored: a multiple of 256, or 2^32 - 1 where that is out of reach. */
  until: number
  reason: number
  termIndex: number
  seq: number
}

// A 32-bit key stands in for the first word of an id: it is a keyed mix of all four words from
// which, given the other three, the first can be had back. Its highest bits choose one of the
// segments, each of which keeps its keys sorted, as near as they fit to the place in proportion to
// them (linear probing in order). So a miss reads some five neighbouring keys and nothing else,
// growing copies a segment from front to back, and only one 256th of the table grows at a time.
const SEGMENT_BITS = 8
const SEGMENTS = 1 << SEGMENT_BITS
const KEY_BITS = 32 - SEGMENT_BITS
const KEYS = 1 << KEY_BITS
/** The number of a record is its segment, then its slot there. */
const SLOT_BITS = 22
const MAX_SLOTS = 1 << SLOT_BITS

// A record is six words. One is in `keys`: the key without its highest bits. The others are in
// `bodies`: the last three words of the id; until (24 bits) | reason (4) | term index (4); seq.
const BODY_WORDS = 5
/** The key of an empty slot, above every other, so that a scan for a place stops there. */
const VOID = 0x7fffffff

// Between a growth and the next a segment is full by 0.8 to 0.9: 24 / 0.8 = 30 bytes per record.
const MAX_LOAD = 0.9
const GROWTH = 1.125
const MIN_CAPACITY = 4
/** A segment less full than this shrinks when a pruning pass has gone through it. */
const MIN_LOAD = 0.7
/** Slots beyond those that keys point to. The last of all stays empty, so that every scan ends. */
const TAIL = 4

interface Segment {
  readonly capacity: number
  readonly keys: Int32Array
  readonly bodies: Int32Array
  count: number
}

const EMPTY: Segment = {
  capacity: 0,
  keys: new Int32Array(1).fill(VOID),
  bodies: new Int32Array(0),
  count: 0,
}
const NO_SEGMENTS: readonly Segment[] = Array.from({ length: SEGMENTS }, () => EMPTY)

const UNTIL_UNIT = 256
/** Stands for any time that a smaller unit cannot reach, so that rounding never ends a revocation early. */
const LAST_UNIT = 0xffffff
const MAX_UINT32 = 0xffffffff

/** How many records a pruning step looks at for each one that it may remove. */
const VISITS_PER_REMOVAL = 64

const NO_DIGIT = 0x10000
const DIGITS: Int32Array = new Int32Array(256).fill(NO_DIGIT)
for (let digit = 0; digit < 16; digit++) DIGITS[digit.toString(16).charCodeAt(0)] = digit
const DASH = 0x2d
const HEX_BYTES: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  (byte + 0x100).toString(16).slice(1),
)
/** Where each four digits begin. */
const QUADS: Int32Array = Int32Array.of(0, 4, 9, 14, 19, 24, 28, 32)

// A method of a string is slow to look up, six times over, once anything in the process extends
// String, and ioredis does. Taken from the prototype here, the method stays inlined in either case.
// oxlint-disable-next-line typescript/unbound-method
const charCodeAt: (this: string, at: number) => number = String.prototype.charCodeAt

/** The id that was parsed last. All tables share it: nothing comes between a parse and its use. */
const words: Int32Array = new Int32Array(4)

/** Parses all but the dashes of a text of 36 characters; false when a character is no digit. */
function parseDigits(text: string): boolean {
  let word = 0
  let anyCode = 0
  let anyDigit = 0
  for (let quad = 0; quad < 8; quad++) {
    const at = QUADS[quad] as number
    const a = charCodeAt.call(text, at)
    const b = charCodeAt.call(text, at + 1)
    const c = charCodeAt.call(text, at + 2)
    const d = charCodeAt.call(text, at + 3)
    const digits =
      ((DIGITS[a & 255] as number) << 12) |
      ((DIGITS[b & 255] as number) << 8) |
      ((DIGITS[c & 255] as number) << 4) |
      (DIGITS[d & 255] as number)
    anyCode |= a | b | c | d
    anyDigit |= digits
    word = (word << 16) | digits
    if ((quad & 1) === 1) words[quad >>> 1] = word
  }
  return (anyCode >>> 8) + (anyDigit >>> 16) === 0
}

function hasDashes(text: string): boolean {
  return (
    charCodeAt.call(text, 8) === DASH &&
    charCodeAt.call(text, 13) === DASH &&
    charCodeAt.call(text, 18) === DASH &&
    charCodeAt.call(text, 23) === DASH
  )
}

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

function salt(seed: number, b: number, c: number, d: number): number {
  return mix(mix(mix(seed ^ b) ^ c) ^ d)
}

/** The keyed mix of the parsed id, which `unmix` and the salt take back to its first word. */
function hashParsed(seed: number): number {
  const rest = salt(seed, words[1] as number, words[2] as number, words[3] as number)
  return mix(rest ^ (words[0] as number))
}

/** The slot in proportion to a key. */
function homeOf(key: number, capacity: number): number {
  return ((key * capacity) / KEYS) | 0
}

function toUntil(unit: number): number {
  return unit === LAST_UNIT ? MAX_UINT32 : unit * UNTIL_UNIT
}

/** The four digits of the lowest 16 bits. */
function hex4(bits: number): string {
  return (HEX_BYTES[(bits >>> 8) & 255] as string) + (HEX_BYTES[bits & 255] as string)
}

function hex8(word: number): string {
  return hex4(word >>> 16) + hex4(word)
}

function assertUint(name: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${name} must be an integer from 0 to ${max}, got ${value}`)
  }
}

/**
 * Revoked token ids that are canonical lower-case UUIDs, each with one plain revocation, in 27 to
 * 30 bytes apiece outside the JavaScript heap. Ids are compared whole, so there are no false
 * positives; any other string is simply absent.
 *
 * The number of a record is its place, and places shift: it means nothing after the next `set`,
 * `delete`, `prune` or `clear`.
 */
export class PackedJtis {
  readonly #seed: number
  #segments: Segment[]
  #size: number
  /** The key where the next pruning step begins, and its segment. */
  #cursor: { index: number; key: number }

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
    return this.#segments
      .filter((segment) => segment !== EMPTY)
      .reduce((sum, { keys, bodies }) => sum + keys.byteLength + bodies.byteLength, 0)
  }

  /** Whether this string is a canonical lower-case UUID (RFC 9562, section 4), the form this table can hold. */
  static fits(jti: string): boolean {
    return jti.length === 36 && parseDigits(jti) && hasDashes(jti)
  }

  /** The record number of an id, or -1. A string that does not fit gives -1. */
  find(jti: string): number {
    if (jti.length !== 36 || !parseDigits(jti)) return -1
    const record = this.#locate(hashParsed(this.#seed))
    return record >= 0 && hasDashes(jti) ? record : -1
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
    return toUntil(this.#word(record, 3) >>> 8)
  }

  reason(record: number): number {
    return (this.#word(record, 3) >>> 4) & 15
  }

  termIndex(record: number): number {
    return this.#word(record, 3) & 15
  }

  seq(record: number): number {
    return this.#word(record, 4) >>> 0
  }

  /**
   * Adds or replaces. `until` is rounded up to 256 s; one in the last 511 s before 2^32 becomes
   * 2^32 - 1.
   *
   * @throws TypeError when the id does not fit.
   * @throws RangeError when `until` is not within 0..2^32-1, `reason` or `termIndex` not an integer
   *   within 0..15, or `seq` not an integer within 0..2^32-1.
   */
  set(jti: string, until: number, reason: number, termIndex: number, seq: number): void {
    if (!(until >= 0 && until <= MAX_UINT32)) {
      throw new RangeError(`until must be from 0 to ${MAX_UINT32}, got ${until}`)
    }
    assertUint('reason', reason, 15)
    assertUint('termIndex', termIndex, 15)
    assertUint('seq', seq, MAX_UINT32)
    if (!PackedJtis.fits(jti)) throw new TypeError('jti is not a canonical lower-case UUID')
    const hash = hashParsed(this.#seed)
    const found = this.#locate(hash)
    const record = found >= 0 ? found : this.#insert(hash)
    const { bodies } = this.#segmentOf(record)
    const body = (record % MAX_SLOTS) * BODY_WORDS
    const unit = Math.min(Math.ceil(until / UNTIL_UNIT), LAST_UNIT)
    bodies[body + 3] = (unit << 8) | (reason << 4) | termIndex
    bodies[body + 4] = seq
  }

  /** Whether there was such an id. Its memory serves later ids, until `prune` gives it back. */
  delete(jti: string): boolean {
    const record = this.find(jti)
    if (record < 0) return false
    this.#remove(this.#segmentOf(record), record % MAX_SLOTS)
    return true
  }

  /**
   * Removes records whose stored `until` is before `now`: at most `limit` of them, looking at about
   * 64 times as many places at most. The next call goes on where this one stopped; `done` says that
   * a pass is complete, and that the next call starts another. A pass sees every record that is
   * there all the time it takes, whatever else changes meanwhile. It also gives back memory, so
   * that after it some two thirds of what the table holds is in use.
   */
  prune(now: number, limit: number): { removed: number; done: boolean } {
    let removed = 0
    let visits = limit * VISITS_PER_REMOVAL
    let { index, key: start } = this.#cursor
    for (; index < SEGMENTS; index++, start = 0) {
      const segment = this.#segments[index] as Segment
      if (segment === EMPTY) continue
      const { keys, bodies } = segment
      let slot = lowerBound(segment, start)
      while (slot < keys.length) {
        const key = keys[slot] as number
        if (key !== VOID && (removed >= limit || visits <= 0)) {
          this.#cursor = { index, key }
          return { removed, done: false }
        }
        visits--
        if (key !== VOID && toUntil((bodies[slot * BODY_WORDS + 3] as number) >>> 8) < now) {
          // The next record of the run, if there is one, moves into this slot.
          this.#remove(segment, slot)
          removed++
        } else {
          slot++
        }
      }
      this.#segments[index] = shrunk(segment)
      if (visits < 0) {
        this.#cursor = { index: index + 1, key: 0 }
        return { removed, done: false }
      }
    }
    this.#cursor = { index: 0, key: 0 }
    return { removed, done: true }
  }

  /** Calls `fn` for every record, in no order to rely on. It may delete the id that it is given, and change nothing else. */
  forEach(fn: (jti: string, record: number) => void): void {
    for (const [index, { keys }] of this.#segments.entries()) {
      // From the end, since deleting a record moves only later ones.
      for (let slot = keys.length - 1; slot >= 0; slot--) {
        if (keys[slot] !== VOID) fn(this.#jti(index, slot), index * MAX_SLOTS + slot)
      }
    }
  }

  /** Removes every record and gives the memory back. */
  clear(): void {
    this.#segments = NO_SEGMENTS.slice()
    this.#size = 0
    this.#cursor = { index: 0, key: 0 }
  }

  #segmentOf(record: number): Segment {
    return this.#segments[record >>> SLOT_BITS] as Segment
  }

  #word(record: number, word: number): number {
    return this.#segmentOf(record).bodies[(record % MAX_SLOTS) * BODY_WORDS + word] as number
  }

  #jti(index: number, slot: number): string {
    const { keys, bodies } = this.#segments[index] as Segment
    const hash = (index << KEY_BITS) | (keys[slot] as number)
    const b = bodies[slot * BODY_WORDS] as number
    const c = bodies[slot * BODY_WORDS + 1] as number
    const d = bodies[slot * BODY_WORDS + 2] as number
    const a = unmix(hash) ^ salt(this.#seed, b, c, d)
    return `${hex8(a)}-${hex4(b >>> 16)}-${hex4(b)}-${hex4(c >>> 16)}-${hex4(c)}${hex8(d)}`
  }

  /** The record of the parsed id, or -1. */
  #locate(hash: number): number {
    const index = hash >>> KEY_BITS
    const segment = this.#segments[index] as Segment
    const { keys, bodies } = segment
    const key = hash & (KEYS - 1)
    for (let slot = lowerBound(segment, key); keys[slot] === key; slot++) {
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

  /** Makes a record of the parsed id, which is not in the table. */
  #insert(hash: number): number {
    const index = hash >>> KEY_BITS
    let segment = this.#segments[index] as Segment
    if (segment.count >= segment.capacity * MAX_LOAD) {
      segment = respread(segment, Math.max(MIN_CAPACITY, Math.ceil(segment.capacity * GROWTH)))
      this.#segments[index] = segment
    }
    const { keys, bodies } = segment
    const key = hash & (KEYS - 1)
    const slot = lowerBound(segment, key)
    let end = slot
    while (keys[end] !== VOID) end++
    if (end === keys.length - 1) {
      this.#segments[index] = respread(segment, segment.capacity)
      return this.#insert(hash)
    }
    const body = slot * BODY_WORDS
    keys.copyWithin(slot + 1, slot, end)
    bodies.copyWithin(body + BODY_WORDS, body, end * BODY_WORDS)
    keys[slot] = key
    bodies[body] = words[1] as number
    bodies[body + 1] = words[2] as number
    bodies[body + 2] = words[3] as number
    segment.count++
    this.#size++
    return (index << SLOT_BITS) | slot
  }

  #remove(segment: Segment, slot: number): void {
    const { capacity, keys, bodies } = segment
    // The rest of the run, up to the first record that is at home, moves one slot nearer to it.
    let end = slot + 1
    while (keys[end] !== VOID && homeOf(keys[end] as number, capacity) < end) end++
    keys.copyWithin(slot, slot + 1, end)
    bodies.copyWithin(slot * BODY_WORDS, (slot + 1) * BODY_WORDS, end * BODY_WORDS)
    keys[end - 1] = VOID
    segment.count--
    this.#size--
  }
}

/** The slot of the first key of a run that is not below this one, or the empty slot at its end. */
function lowerBound({ capacity, keys }: Segment, key: number): number {
  let slot = homeOf(key, capacity)
  let other = keys[slot] as number
  while (other < key) other = keys[++slot] as number
  return slot
}

/** The same records over a new capacity, with a fresh tail behind wherever the last one comes to lie. */
function respread({ keys, bodies, count }: Segment, capacity: number): Segment {
  let end = 0
  for (const key of keys) if (key !== VOID) end = Math.max(end, homeOf(key, capacity)) + 1
  const length = Math.max(end, capacity) + TAIL
  if (length > MAX_SLOTS) throw new RangeError('the table is full')
  const newKeys = new Int32Array(length).fill(VOID)
  const newBodies = new Int32Array(length * BODY_WORDS)
  let to = 0
  for (let from = 0; from < keys.length; from++) {
    const key = keys[from] as number
    if (key === VOID) continue
    to = Math.max(to, homeOf(key, capacity))
    newKeys[to] = key
    for (let word = 0; word < BODY_WORDS; word++) {
      newBodies[to * BODY_WORDS + word] = bodies[from * BODY_WORDS + word] as number
    }
    to++
  }
  return { capacity, keys: newKeys, bodies: newBodies, count }
}

/** The segment itself, unless it is so sparse that it should be smaller. */
function shrunk(segment: Segment): Segment {
  const { capacity, count } = segment
  if (count === 0) return EMPTY
  if (capacity <= MIN_CAPACITY || count >= capacity * MIN_LOAD) return segment
  return respread(segment, Math.max(MIN_CAPACITY, Math.ceil((count / MAX_LOAD) * GROWTH)))
}
