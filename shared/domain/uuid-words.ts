/** Canonical lower-case UUIDs (RFC 9562, section 4) as four words of 32 bits, with nothing allocated. */

const NO_DIGIT = 0x10000
const DIGITS: Int32Array = new Int32Array(256).fill(NO_DIGIT)
for (let digit = 0; digit < 16; digit++) DIGITS[digit.toString(16).charCodeAt(0)] = digit
const DASH = 0x2d
const LENGTH = 36
const HEX_BYTES: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  (byte + 0x100).toString(16).slice(1),
)
/** Where each four digits begin. */
const QUADS: Int32Array = Int32Array.of(0, 4, 9, 14, 19, 24, 28, 32)

// A method of a string is slow to look up, six times over, once anything in the process extends
// String, and ioredis does. Taken from the prototype here, the method stays inlined in either case.
// oxlint-disable-next-line typescript/unbound-method
const charCodeAt: (this: string, at: number) => number = String.prototype.charCodeAt

/** The id that was parsed last. Whoever parses shares it: nothing may come between a parse and its use. */
export const words: Int32Array = new Int32Array(4)

/** Whether a text is a canonical lower-case UUID; its words are then in `words`. */
export function parseUuid(text: string): boolean {
  return text.length === LENGTH && parseUuidAt(text, 0)
}

/** As `parseUuid`, of the 36 characters that begin at `from`, all of which must be there. */
export function parseUuidAt(text: string, from: number): boolean {
  let word = 0
  let anyCode = 0
  let anyDigit = 0
  for (let quad = 0; quad < 8; quad++) {
    const at = from + (QUADS[quad] as number)
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
  return (anyCode >>> 8) + (anyDigit >>> 16) === 0 && hasDashes(text, from)
}

function hasDashes(text: string, from: number): boolean {
  return (
    charCodeAt.call(text, from + 8) === DASH &&
    charCodeAt.call(text, from + 13) === DASH &&
    charCodeAt.call(text, from + 18) === DASH &&
    charCodeAt.call(text, from + 23) === DASH
  )
}

/** Whether a text could be a UUID, so that `wordAt` may be asked of it. */
export function isUuidLong(text: string): boolean {
  return text.length === LENGTH
}

/** The word whose eight digits begin here, if they are digits; some number if not. */
export function wordAt(text: string, at: number): number {
  return (
    ((DIGITS[charCodeAt.call(text, at) & 255] as number) << 28) |
    ((DIGITS[charCodeAt.call(text, at + 1) & 255] as number) << 24) |
    ((DIGITS[charCodeAt.call(text, at + 2) & 255] as number) << 20) |
    ((DIGITS[charCodeAt.call(text, at + 3) & 255] as number) << 16) |
    ((DIGITS[charCodeAt.call(text, at + 4) & 255] as number) << 12) |
    ((DIGITS[charCodeAt.call(text, at + 5) & 255] as number) << 8) |
    ((DIGITS[charCodeAt.call(text, at + 6) & 255] as number) << 4) |
    (DIGITS[charCodeAt.call(text, at + 7) & 255] as number)
  )
}

/** The text of four words. */
export function uuidOf(a: number, b: number, c: number, d: number): string {
  return `${hex8(a)}-${hex4(b >>> 16)}-${hex4(b)}-${hex4(c >>> 16)}-${hex4(c)}${hex8(d)}`
}

/** The four digits of the lowest 16 bits. */
function hex4(bits: number): string {
  return (HEX_BYTES[(bits >>> 8) & 255] as string) + (HEX_BYTES[bits & 255] as string)
}

function hex8(word: number): string {
  return hex4(word >>> 16) + hex4(word)
}
