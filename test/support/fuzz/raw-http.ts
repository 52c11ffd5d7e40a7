import { connect } from 'node:net'

/** A request as it goes over the wire, so that it may be as wrong as it likes. */
export interface RawRequest {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer | undefined
}

export interface RawAnswer {
  readonly status: number
  readonly type: string
  readonly text: string
}

/** What became of a request: an answer, or none, because the other side ended or there was nothing to answer. */
export type Outcome = RawAnswer | 'ended' | 'silent'

/** Header values are bytes (RFC 9110, section 5.5), so they are written as such. */
export function toBytes({ method, path, query, headers, body }: RawRequest): Buffer {
  const target = query === '' ? path : `${path}?${query}`
  const all = [
    ['host', 'localhost'],
    ['connection', 'close'],
    ...headers,
    ...(body === undefined ? [] : [['content-length', String(body.length)]]),
  ]
  const head = all.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const start = Buffer.from(`${method} ${target} HTTP/1.1\r\n${head}\r\n`, 'latin1')
  return Buffer.concat([start, body ?? Buffer.alloc(0)])
}

const MAX_ANSWER = 1_000_000

/** Sends bytes and reads the first answer. `silent`: nothing came, or the answer did not end, for so long. */
export function exchange(port: number, bytes: Uint8Array, silenceMs: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    const chunks: Buffer[] = []
    let length = 0
    const end = (outcome: Outcome): void => {
      socket.destroy()
      resolve(outcome)
    }
    const answered = (): Outcome => parse(Buffer.concat(chunks)) ?? 'ended'
    socket.setTimeout(silenceMs, () => end(length > 0 ? answered() : 'silent'))
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length > MAX_ANSWER) end(answered())
    })
    socket.on('end', () => end(answered()))
    socket.on('error', () => end(answered()))
    socket.write(bytes)
  })
}

function parse(bytes: Buffer): RawAnswer | undefined {
  // Whoever expected 100-continue is told so first.
  const text = bytes.toString('utf8').replace(/^HTTP\/1\.1 1\d\d [^\r]*\r\n\r\n/, '')
  const end = text.indexOf('\r\n\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? NaN)
  if (end === -1 || Number.isNaN(status)) return undefined
  const head = text.slice(0, end)
  const type = /^content-type: *([^\r;]*)/im.exec(head)?.[1]?.trim() ?? ''
  const rest = text.slice(end + 4)
  const isChunked = /^transfer-encoding: *chunked/im.test(head)
  // One chunk is all that an error has.
  const body = isChunked
    ? rest.replace(/^[0-9a-f]+\r\n/i, '').replace(/\r\n0\r\n[\s\S]*$/, '')
    : rest
  return { status, type, text: body }
}
