import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { isRecord } from '../domain/entry.ts'
import { KnellError } from '../domain/errors.ts'
import type { Refusal } from '../frameworks/refusal.ts'

const MAX_BODY_BYTES = 65_536

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value)
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}

export function sendRefusal(response: ServerResponse, { status, headers, body }: Refusal): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

/** An error as a problem document (RFC 9457); of a fault of ours only its code. */
function problemOf(error: KnellError): string {
  const { code, status } = error
  const detail = code === 'internal' ? 'Something went wrong on our side.' : error.message
  const title = code.replaceAll('_', ' ')
  return JSON.stringify({ type: 'about:blank', status, code, title, detail })
}

/** Answers what is no HTTP, and so never becomes a request. */
export function refuseMalformed(socket: Duplex): void {
  const error = new KnellError('invalid_request', 'The request is not well-formed HTTP.')
  const body = problemOf(error)
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    )
  }
  socket.destroy()
}

export function sendProblem(response: ServerResponse, error: KnellError): void {
  const body = problemOf(error)
  response.writeHead(error.status, {
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}

/**
 * Reads a JSON object. Only what says that it is JSON is read, so that no page in a browser on this
 * machine can ask.
 * @throws KnellError `unsupported_media_type`, `body_too_large`, `invalid_json`, `invalid_request`
 */
export async function readObject(
  request: IncomingMessage,
  members: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const type = request.headers['content-type'] ?? ''
  if (!/^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type)) {
    throw new KnellError('unsupported_media_type', 'Send content-type application/json.')
  }
  const value = parse(await bytesOf(request))
  if (!isRecord(value)) throw new KnellError('invalid_request', 'The body must be a JSON object.')
  const unknown = Object.keys(value).find((name) => !members.includes(name))
  if (unknown === undefined) return value
  throw new KnellError('invalid_request', `The body may have ${members.join(', ')} only.`)
}

/** @throws KnellError `body_too_large`, `invalid_request` where whoever sends goes away, which is no fault of ours */
async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > MAX_BODY_BYTES) {
        throw new KnellError('body_too_large', `The body is over ${MAX_BODY_BYTES} bytes.`)
      }
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof KnellError) throw error
    const detail = 'The connection ended before the body did.'
    throw new KnellError('invalid_request', detail, { cause: error })
  }
  return Buffer.concat(chunks)
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new KnellError('invalid_json', 'The body is not JSON in UTF-8.', { cause: error })
  }
}
