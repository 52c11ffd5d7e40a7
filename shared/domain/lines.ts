export interface Line {
  /** Counted from 1. */
  readonly number: number
  /** Undefined where the line was too long (it has been passed over) or is not UTF-8. */
  readonly text: string | undefined
  readonly problem?: 'too long' | 'not UTF-8'
}

/** The lines of a stream of UTF-8 text, each at most `maxBytes` long; memory is bounded by one line and one chunk. */
export async function* readLines(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Line> {
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
    let from = 0
    for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, from)) {
      add(bytes.subarray(from, at))
      from = at + 1
      yield end()
    }
    add(bytes.subarray(from))
  }
  if (length > 0) yield end()
}

const TOO_LONG = { text: undefined, problem: 'too long' } as const

function decode(parts: readonly Uint8Array[]): Omit<Line, 'number'> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  try {
    const texts = parts.map((part) => decoder.decode(part, { stream: true }))
    return { text: texts.join('') + decoder.decode() }
  } catch {
    return { text: undefined, problem: 'not UTF-8' }
  }
}
