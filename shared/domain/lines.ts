export interface Line {
  /** Counted from 1. */
  readonly number: number
  /** Undefined where the line was longer than allowed; it has been passed over. */
  readonly text: string | undefined
}

/** The lines of a stream of UTF-8 text, each at most `maxBytes` long; memory is bounded by one line and one chunk. */
export async function* readLines(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Line> {
  let number = 0
  let parts: Uint8Array[] = []
  let length = 0
  const decoder = new TextDecoder()
  const end = (): Line => {
    number += 1
    const text = length > maxBytes ? undefined : decode(decoder, parts)
    parts = []
    length = 0
    return { number, text }
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

function decode(decoder: InstanceType<typeof TextDecoder>, parts: readonly Uint8Array[]): string {
  if (parts.length === 1) return decoder.decode(parts[0])
  return parts.map((part) => decoder.decode(part, { stream: true })).join('') + decoder.decode()
}
