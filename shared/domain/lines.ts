export interface Line {
  /** Counted from 1. */
  readonly number: number
  /** Undefined where the line was too long (it has been passed over) or is not UTF-8. */
  readonly text: string | undefined
  readonly problem?: 'too long' | 'not UTF-8'
}

const NEWLINE = 10
const BYTE_ORDER_MARK = '\uFEFF'
const TOO_LONG = { text: undefined, problem: 'too long' } as const

/** The lines of a stream of UTF-8 text, each at most `maxBytes` long; memory is bounded by one line and one chunk. */
export async function* readLines(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Line> {
  for await (const lines of readLineBatches(body, maxBytes)) yield* lines
}

/** As `readLines`, but all lines that a chunk has ended at once, so that very many of them cost little. */
export async function* readLineBatches(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Line[]> {
  let number = 0
  let parts: Uint8Array[] = []
  let length = 0
  const end = (): Line => {
    number += 1
    const line = length > maxBytes ? TOO_LONG : decode(parts)
    parts = []
    length = 0
    return { number, ...line }
  }
  const add = (part: Uint8Array): void => {
    length += part.length
    if (length <= maxBytes) parts.push(part)
    else parts = []
  }
  for await (const bytes of body) {
    const lines: Line[] = []
    let from = 0
    const first = bytes.indexOf(NEWLINE)
    if (first !== -1) {
      // What the chunks before have begun.
      add(bytes.subarray(0, first))
      lines.push(end())
      from = bytes.lastIndexOf(NEWLINE) + 1
      const whole = bytes.subarray(first + 1, from)
      const texts = whole.length <= maxBytes ? decodeWhole(whole) : undefined
      if (texts === undefined) {
        for (let at = first + 1; at < from;) {
          const next = bytes.indexOf(NEWLINE, at)
          add(bytes.subarray(at, next))
          lines.push(end())
          at = next + 1
        }
      } else {
        for (const text of texts) lines.push({ number: (number += 1), text })
      }
    }
    add(bytes.subarray(from))
    if (lines.length > 0) yield lines
  }
  if (length > 0) yield [end()]
}

/** The texts of lines that are all there; undefined where each has to be looked at by itself. */
function decodeWhole(bytes: Uint8Array): string[] | undefined {
  if (bytes.length === 0) return []
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    // A line may begin with a mark that is no part of it.
    if (text.includes(BYTE_ORDER_MARK)) return undefined
    const texts = text.split('\n')
    texts.pop()
    return texts
  } catch {
    return undefined
  }
}

function decode(parts: readonly Uint8Array[]): Omit<Line, 'number'> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  try {
    const texts = parts.map((part) => decoder.decode(part, { stream: true }))
    return { text: texts.join('') + decoder.decode() }
  } catch {
    return { text: undefined, problem: 'not UTF-8' }
  }
}
