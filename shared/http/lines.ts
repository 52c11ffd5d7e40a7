import type { Readable } from 'node:stream'

export interface Line {
  /** Counted from 1. */
  readonly number: number
  /** Undefined where the line was longer than allowed; it has been passed over. */
  readonly text: string | undefined
}

/** The lines of a stream of UTF-8 text, each at most `maxBytes` long; memory is bounded by one line and one chunk. */
export async function* readLines(body: Readable, maxBytes: number): AsyncGenerator<Line> {
  let number = 0
  let parts: Buffer[] = []
  let length = 0
  const end = (): Line => {
    number += 1
    const text = length > maxBytes ? undefined : Buffer.concat(parts).toString('utf8')
    parts = []
    length = 0
    return { number, text }
  }
  const add = (part: Buffer): void => {
    length += part.length
    if (length <= maxBytes) parts.push(part)
    else parts = []
  }
  for await (const chunk of body) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
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
