import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { isReason } from '../domain/reasons.ts'
import type { Refusal } from './refusal.ts'

export interface DeathOptions {
  /** Whether the other side is told the reason too, such as `logout`. Default: false. */
  readonly exposeReason?: boolean
}

/** What is used of a response: Node's `ServerResponse`, or HTTP/2's. */
export interface StreamedResponse {
  readonly headersSent: boolean
  readonly writableEnded: boolean
  readonly destroyed: boolean
  setHeader(name: string, value: string): unknown
  end(last: string): unknown
  destroy(): unknown
  on(event: 'error', listener: () => void): unknown
  once(event: 'close', listener: () => void): unknown
}

/** What is used of a socket; that of `ws` fits, with all of it. */
export interface ClosableSocket {
  readonly readyState: number
  close(code: number, reason: string): void
  addEventListener(event: 'close', listener: () => void, options: { once: true }): void
  terminate?(): void
  removeAllListeners?(event: 'message'): unknown
}

/** What a client that does not take its end may keep a connection for, in ms. */
const GRACE_MS = 5000
/** RFC 6455, section 7.4.1. */
const POLICY_VIOLATION = 1008
const GOING_AWAY = 1001
/** A close frame holds 125 bytes, two of them the code (RFC 6455, section 5.5). */
const MAX_CLOSE_BYTES = 123
const CLOSING = 2

interface Death {
  readonly code: string
  readonly reason?: string
}

/** What the reason of a signal says of the token; undefined where the signal was aborted for something else. */
function deathOf(reason: unknown, exposeReason: boolean): Death | undefined {
  const { code, reason: why } = (reason ?? {}) as { code?: unknown; reason?: unknown }
  if (typeof code !== 'string' || !/^[a-z_]{1,40}$/.test(code)) return undefined
  return { code, ...(exposeReason && isReason(why) ? { reason: why } : {}) }
}

/** Calls `act` once when the signal aborts, at once where it has. Returns what forgets it. */
function onceAborted(signal: AbortSignal, act: () => void): () => void {
  if (signal.aborted) {
    act()
    return () => {}
  }
  signal.addEventListener('abort', act, { once: true })
  return () => signal.removeEventListener('abort', act)
}

/**
 * Ends a stream of server-sent events when its token dies: writes the event `token-dead` with
 * `{"code":"revoked"}` as its data, ends the response, and cuts it off where the client has not
 * taken that within 5 s. Call it once the head is written. A handler may go on writing until it
 * notices; what it writes goes nowhere. Forgets the signal when the response ends first.
 * @returns forgets the signal
 */
export function endOnDeath(
  response: StreamedResponse,
  signal: AbortSignal,
  options: DeathOptions = {},
): () => void {
  const forget = onceAborted(signal, () => {
    if (response.writableEnded || response.destroyed) return
    // Whoever writes after the end would otherwise end the process.
    response.on('error', () => {})
    const cut = setTimeout(() => response.destroy(), GRACE_MS)
    cut.unref()
    response.once('close', () => clearTimeout(cut))
    if (!response.headersSent) {
      response.setHeader('content-type', 'text/event-stream')
      response.setHeader('cache-control', 'no-store')
    }
    const death = deathOf(signal.reason, options.exposeReason === true)
    // The blank line ends an event that was written in part, so that it does not swallow this one.
    response.end(
      death === undefined ? '\n\n' : `\n\nevent: token-dead\ndata: ${JSON.stringify(death)}\n\n`,
    )
  })
  response.once('close', forget)
  return forget
}

/**
 * Closes a WebSocket when its token dies: code 1008 with the reason `token revoked`. From then on
 * no message of the client reaches a handler, and where it does not close its side within 5 s the
 * connection is cut, as far as the socket has `removeAllListeners` and `terminate`. A signal that
 * aborted for something else closes it with 1001. Forgets the signal when the socket closes first.
 * @returns forgets the signal
 */
export function closeOnDeath(
  socket: ClosableSocket,
  signal: AbortSignal,
  options: DeathOptions = {},
): () => void {
  const forget = onceAborted(signal, () => {
    if (socket.readyState >= CLOSING) return
    const cut = setTimeout(() => socket.terminate?.(), GRACE_MS)
    cut.unref()
    socket.addEventListener('close', () => clearTimeout(cut), { once: true })
    socket.removeAllListeners?.('message')
    const death = deathOf(signal.reason, options.exposeReason === true)
    if (death === undefined) socket.close(GOING_AWAY, '')
    else socket.close(POLICY_VIOLATION, closeReason(death))
  })
  socket.addEventListener('close', forget, { once: true })
  return forget
}

function closeReason({ code, reason }: Death): string {
  const text = reason === undefined ? `token ${code}` : `token ${code}: ${reason}`
  return text.slice(0, MAX_CLOSE_BYTES)
}

/** Answers a request to upgrade (RFC 9110, section 7.8) that a guard has refused, and closes its connection. */
export function refuseUpgrade(socket: Duplex, { status, headers, body }: Refusal): void {
  // The other side may be gone, which must not end the process.
  socket.on('error', () => {})
  socket.once('finish', () => socket.destroy())
  const length = String(Buffer.byteLength(body))
  const all = { ...headers, 'content-length': length, connection: 'close' }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  const first = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`
  socket.end([first, ...lines, '', body].join('\r\n'))
}
