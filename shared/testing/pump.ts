import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** Seen from the client: `up` goes to the target, `down` comes from it. */
export type Direction = 'up' | 'down'

/** How slow a connection is. What is absent is as fast as loopback. */
export interface Slowness {
  /** All bytes, and the end of the stream, arrive so much later. */
  readonly latencyMs?: number
  readonly bytesPerSecond?: number
  /** Bytes are passed on in pieces of at most so many, each sent by itself. */
  readonly sliceBytes?: number
  /** The end of a stream arrives so much later than its last byte. */
  readonly slowCloseMs?: number
}

/** What a pump is to do at this moment. */
export interface Orders {
  /** Takes nothing in, so that the sender's buffers fill up. */
  readonly holds: boolean
  /** Loses what comes. */
  readonly loses: boolean
  readonly slowness: Slowness | undefined
}

/** Past this many bytes on their way no more are taken in, as a network's own buffers end somewhere. */
const MAX_QUEUED = 65_536

interface Piece {
  /** Undefined for the end of the stream. */
  readonly bytes: Buffer | undefined
  readonly cameAt: number
}

/**
 * Carries bytes and the end of the stream from one socket to the other, as fast as that one takes
 * them and the orders let it. Returns how to look at the orders again.
 * @param onPassed told of each piece before it is passed on; returns how much of it may be
 */
export function pump(
  from: Socket,
  to: Socket,
  orders: () => Orders,
  onPassed: (length: number) => number = (length) => length,
): () => void {
  from.setNoDelay(true)
  to.setNoDelay(true)
  const queue: Piece[] = []
  let queued = 0
  let isFull = false
  let isDraining = false

  const obey = (): void => {
    if (isFull || queued > MAX_QUEUED || orders().holds) from.pause()
    else from.resume()
  }

  const pass = (bytes: Buffer | undefined): void => {
    if (bytes === undefined) {
      to.end()
      return
    }
    const length = onPassed(bytes.length)
    if (length > 0 && !to.destroyed) isFull = !to.write(bytes.subarray(0, length))
  }

  const drain = async (): Promise<void> => {
    isDraining = true
    for (let piece = queue[0]; piece !== undefined && !to.destroyed; piece = queue[0]) {
      const { latencyMs = 0, slowCloseMs = 0 } = orders().slowness ?? {}
      const lateMs = latencyMs + (piece.bytes === undefined ? slowCloseMs : 0)
      await pause(piece.cameAt + lateMs - performance.now())
      queue.shift()
      queued -= piece.bytes?.length ?? 0
      for (let rest = piece.bytes; rest !== undefined && rest.length > 0;) {
        const { bytesPerSecond, sliceBytes = rest.length } = orders().slowness ?? {}
        const size = Math.max(1, Math.min(sliceBytes, Math.ceil((bytesPerSecond ?? Infinity) / 10)))
        const slice = rest.subarray(0, size)
        rest = rest.subarray(size)
        pass(slice)
        // A pause also between slices that may go at once, so that each is a segment of its own.
        await pause(bytesPerSecond === undefined ? 0 : (slice.length * 1000) / bytesPerSecond)
      }
      if (piece.bytes === undefined) pass(undefined)
      obey()
    }
    isDraining = false
  }

  const take = (bytes: Buffer | undefined): void => {
    const { loses, slowness } = orders()
    if (loses) return
    if (slowness === undefined && queue.length === 0 && !isDraining) {
      pass(bytes)
    } else {
      queue.push({ bytes, cameAt: performance.now() })
      queued += bytes?.length ?? 0
      if (!isDraining) void drain()
    }
    obey()
  }

  from.on('data', (bytes: Buffer) => take(bytes))
  from.on('end', () => take(undefined))
  to.on('drain', () => {
    isFull = false
    obey()
  })
  obey()
  return obey
}

/** Keeps no process alive: a connection that is gone has nobody who waits. */
function pause(ms: number): Promise<void> {
  return delay(Math.max(0, ms), undefined, { ref: false })
}
