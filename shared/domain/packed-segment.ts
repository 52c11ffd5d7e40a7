/**
 * A part of a packed table. It keeps its keys sorted, as near as they fit to the slot in proportion
 * to them (linear probing in order), so that growing copies it from front to back.
 *
 * A record is 22 bytes. Four are in `keys`: the key (23 bits), then eight bits of meta. Sixteen are
 * in `bodies`: three words of the id, and seq. Two are in `untils`.
 */
export interface Segment {
  readonly capacity: number
  readonly keys: Int32Array
  readonly bodies: Int32Array
  readonly untils: Uint16Array
  count: number
}

export const KEY_BITS = 23
const KEYS = 1 << KEY_BITS
export const META_BITS = 8
export const BODY_WORDS = 4
/** The key of an empty slot, above every other, so that a scan for a place stops there. */
export const VOID = 0x7fffffff
export const SLOT_BITS = 22
const MAX_SLOTS = 1 << SLOT_BITS

// Between a growth and the next a segment is full by 0.932 to 0.96: 22 / 0.932 = 23.6 bytes per record.
const MAX_LOAD = 0.96
const GROWTH = 1.03
// While very many come at once it is less full, so that a record finds a gap a few slots on, not hundreds.
const LOOSE_LOAD = 0.75
const LOOSE_GROWTH = 1.5
/** How full it is made when that is over: between what a growth leaves and the next. */
const TIGHT_LOAD = 0.95
const MIN_CAPACITY = 4
/** A segment less full than this shrinks when a pruning pass has gone through it. */
const MIN_LOAD = 0.85
/** Slots beyond those that keys point to. The last of all stays empty, so that every scan ends. */
const TAIL = 4

export const EMPTY: Segment = {
  capacity: 0,
  keys: new Int32Array(1).fill(VOID),
  bodies: new Int32Array(0),
  untils: new Uint16Array(0),
  count: 0,
}

export function bytesOf({ capacity, keys, bodies, untils }: Segment): number {
  return capacity === 0 ? 0 : keys.byteLength + bodies.byteLength + untils.byteLength
}

/** The slot in proportion to a key. */
function homeOf(key: number, capacity: number): number {
  return ((key * capacity) / KEYS) | 0
}

/** The slot of the first record of a run whose key is not below this one, or the empty slot at its end. */
export function lowerBound({ capacity, keys }: Segment, key: number): number {
  const least = key << META_BITS
  let slot = homeOf(key, capacity)
  while ((keys[slot] as number) < least) slot++
  return slot
}

/** Makes room for a record in this slot, or says that there is none behind it. */
export function openSlot({ keys, bodies, untils }: Segment, slot: number): boolean {
  let end = slot
  while (keys[end] !== VOID) end++
  if (end === keys.length - 1) return false
  if (end === slot) return true
  keys.copyWithin(slot + 1, slot, end)
  bodies.copyWithin((slot + 1) * BODY_WORDS, slot * BODY_WORDS, end * BODY_WORDS)
  untils.copyWithin(slot + 1, slot, end)
  return true
}

/** Takes a record out: the rest of its run, up to the first record that is at home, moves one slot nearer to it. */
export function closeSlot({ capacity, keys, bodies, untils }: Segment, slot: number): void {
  let end = slot + 1
  while (keys[end] !== VOID && homeOf((keys[end] as number) >>> META_BITS, capacity) < end) end++
  keys.copyWithin(slot, slot + 1, end)
  bodies.copyWithin(slot * BODY_WORDS, (slot + 1) * BODY_WORDS, end * BODY_WORDS)
  untils.copyWithin(slot, slot + 1, end)
  keys[end - 1] = VOID
}

/** The segment itself, or the next larger one where it is full. */
export function grown(segment: Segment, isLoose: boolean): Segment {
  const { count, capacity } = segment
  if (count < capacity * (isLoose ? LOOSE_LOAD : MAX_LOAD)) return segment
  const growth = isLoose ? LOOSE_GROWTH : GROWTH
  return respread(segment, Math.max(MIN_CAPACITY, Math.ceil(capacity * growth)))
}

/** The segment itself, unless it is as sparse as one that grew by the larger steps. */
export function tightened(segment: Segment): Segment {
  const { count, capacity } = segment
  const tight = Math.max(MIN_CAPACITY, Math.ceil(count / TIGHT_LOAD))
  return count * GROWTH > capacity * MAX_LOAD || tight >= capacity
    ? segment
    : respread(segment, tight)
}

/** The same records over a capacity, with a fresh tail behind wherever the last one comes to lie. */
export function respread({ keys, bodies, untils, count }: Segment, capacity: number): Segment {
  let end = 0
  for (const word of keys) {
    if (word !== VOID) end = Math.max(end, homeOf(word >>> META_BITS, capacity)) + 1
  }
  const length = Math.max(end, capacity) + TAIL
  if (length > MAX_SLOTS) throw new RangeError('the table is full')
  const newKeys = new Int32Array(length).fill(VOID)
  const newBodies = new Int32Array(length * BODY_WORDS)
  const newUntils = new Uint16Array(length)
  let to = 0
  for (let from = 0; from < keys.length; from++) {
    const word = keys[from] as number
    if (word === VOID) continue
    to = Math.max(to, homeOf(word >>> META_BITS, capacity))
    newKeys[to] = word
    newUntils[to] = untils[from] as number
    const [body, newBody] = [from * BODY_WORDS, to * BODY_WORDS]
    newBodies[newBody] = bodies[body] as number
    newBodies[newBody + 1] = bodies[body + 1] as number
    newBodies[newBody + 2] = bodies[body + 2] as number
    newBodies[newBody + 3] = bodies[body + 3] as number
    to++
  }
  return { capacity, keys: newKeys, bodies: newBodies, untils: newUntils, count }
}

/** The segment itself, unless it is so sparse that it should be smaller. */
export function shrunk(segment: Segment): Segment {
  const { capacity, count } = segment
  if (count === 0) return EMPTY
  if (capacity <= MIN_CAPACITY || count >= capacity * MIN_LOAD) return segment
  return respread(segment, Math.max(MIN_CAPACITY, Math.ceil((count / MAX_LOAD) * GROWTH)))
}
