import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { pump, type Direction, type Orders, type Slowness } from './pump.ts'

/**
 * A TCP proxy on loopback through which a test, or the demo, cuts two parts of a system off from each
 * other, in the different ways that a network does.
 */
export interface Proxy {
  readonly port: number
  /** The same URL with this proxy's host and port. */
  url(original: string): string
  /** As if the machine were gone: resets what is open and refuses what comes. */
  cut(): Promise<void>
  /** As if the network swallowed all: connections open and stay open, and nothing arrives. What is sent is held until `resume`. */
  stall(): void
  /** Holds what is sent in one direction until `resume`; the other goes on. */
  hold(direction: Direction): void
  /** Loses all that is sent in one direction; the other goes on. */
  swallow(direction: Direction): void
  /** Makes every connection slow, both ways, until `resume`. */
  slow(slowness: Slowness): void
  /** Resets what is open, in the midst of whatever is on its way; what comes is served. */
  reset(): void
  /** Resets each connection that comes, when it has brought its client so many bytes, until `resume`. */
  resetAfter(bytes: number): void
  /** Back to passing everything on. What was swallowed stays lost. */
  resume(): Promise<void>
  close(): Promise<void>
}

interface Target {
  readonly host: string
  readonly port: number
}

/** What the network does at the moment. */
interface Weather {
  readonly holds?: readonly Direction[]
  readonly loses?: Direction
  readonly slowness?: Slowness
  /** How many bytes a new connection may bring its client. */
  readonly allowance?: number
}

const FAIR: Weather = {}

/**
 * Opens a proxy to `target` on a free loopback port. The target need not be there yet, and may be another for each connection.
 */
export async function openProxy(options: {
  readonly target: Target | (() => Target)
}): Promise<Proxy> {
  const pairs = new Set<Pair>()
  let weather = FAIR
  let server = await listen(0)
  const { port } = server.address() as AddressInfo

  async function listen(at: number): Promise<Server> {
    const opened = createServer({ allowHalfOpen: true }, accept)
    opened.listen(at, '127.0.0.1')
    await once(opened, 'listening')
    return opened
  }

  function accept(client: Socket): void {
    const target = typeof options.target === 'function' ? options.target() : options.target
    const pair = join(client, target, () => weather)
    pairs.add(pair)
    void pair.gone.then(() => pairs.delete(pair))
  }

  async function shut(): Promise<void> {
    const closed = server.listening ? once(server, 'close') : undefined
    server.close()
    for (const pair of pairs) pair.reset()
    await Promise.all([closed, ...[...pairs].map((pair) => pair.gone)])
  }

  function change(to: Weather): void {
    weather = to
    for (const pair of pairs) pair.obey()
  }

  return {
    port,
    url(original) {
      const url = new URL(original)
      url.hostname = '127.0.0.1'
      url.port = `${port}`
      return url.href
    },
    async cut() {
      change(FAIR)
      await shut()
    },
    stall: () => change({ holds: ['up', 'down'] }),
    hold: (direction) => change({ holds: [direction] }),
    swallow: (direction) => change({ loses: direction }),
    slow: (slowness) => change({ slowness }),
    reset() {
      for (const pair of pairs) pair.reset()
    },
    resetAfter: (bytes) => change({ allowance: bytes }),
    async resume() {
      if (!server.listening) server = await listen(port)
      change(FAIR)
    },
    close: shut,
  }
}

interface Pair {
  /** Looks at the weather again. */
  obey(): void
  reset(): void
  readonly gone: Promise<unknown>
}

function join(client: Socket, target: Target, weather: () => Weather): Pair {
  const upstream = connect({ ...target, allowHalfOpen: true })
  let { allowance = Infinity } = weather()
  const reset = (): void => {
    for (const socket of [client, upstream]) {
      // While its end is being sent a socket cannot be reset: Node then neither does so nor closes it.
      if (socket.connecting || socket.writableEnded) socket.destroy()
      else socket.resetAndDestroy()
    }
  }
  const ordersOf = (direction: Direction) => (): Orders => {
    const { holds = [], loses, slowness } = weather()
    return { holds: holds.includes(direction), loses: loses === direction, slowness }
  }
  const spend = (length: number): number => {
    const passed = Math.min(length, allowance)
    allowance -= passed
    // After the bytes that it may still bring have gone out.
    if (allowance === 0) setImmediate(reset)
    return passed
  }
  const obeyUp = pump(client, upstream, ordersOf('up'))
  const obeyDown = pump(upstream, client, ordersOf('down'), spend)
  // An error on one side is told to the other as what it mostly is, a reset.
  client.on('error', reset)
  upstream.on('error', reset)
  return {
    obey() {
      obeyUp()
      obeyDown()
    },
    reset,
    gone: Promise.all([closed(client), closed(upstream)]),
  }
}

/** Not `once` of node:events, which rejects on an error. */
function closed(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve))
}
