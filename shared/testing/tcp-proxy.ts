import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** Seen from the client: `up` goes to the target, `down` comes from it. */
type Direction = 'up' | 'down'

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
  /** Loses all that is sent in one direction; the other goes on. */
  swallow(direction: Direction): void
  /** Back to passing everything on. What was swallowed stays lost. */
  resume(): Promise<void>
  close(): Promise<void>
}

interface Target {
  readonly host: string
  readonly port: number
}

type Mode = 'pass' | 'cut' | 'stall' | 'swallow up' | 'swallow down'

/** Opens a proxy to `target` on a free loopback port. The target need not be there yet. */
export async function openProxy(options: { readonly target: Target }): Promise<Proxy> {
  const pairs = new Set<Pair>()
  let mode: Mode = 'pass'
  let server = await listen(0)
  const { port } = server.address() as AddressInfo

  async function listen(at: number): Promise<Server> {
    const opened = createServer({ allowHalfOpen: true }, accept)
    opened.listen(at, '127.0.0.1')
    await once(opened, 'listening')
    return opened
  }

  function accept(client: Socket): void {
    const pair = join(client, options.target, () => mode)
    pairs.add(pair)
    void pair.gone.then(() => pairs.delete(pair))
  }

  async function shut(): Promise<void> {
    const closed = server.listening ? once(server, 'close') : undefined
    server.close()
    for (const pair of pairs) pair.reset()
    await Promise.all([closed, ...[...pairs].map((pair) => pair.gone)])
  }

  function change(to: Mode): void {
    mode = to
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
      change('cut')
      await shut()
    },
    stall: () => change('stall'),
    swallow: (direction) => change(`swallow ${direction}`),
    async resume() {
      if (!server.listening) server = await listen(port)
      change('pass')
    },
    close: shut,
  }
}

interface Pair {
  /** Looks at the mode again. */
  obey(): void
  reset(): void
  readonly gone: Promise<unknown>
}

function join(client: Socket, target: Target, mode: () => Mode): Pair {
  const upstream = connect({ ...target, allowHalfOpen: true })
  const obeyUp = pump(client, upstream, 'up', mode)
  const obeyDown = pump(upstream, client, 'down', mode)
  const reset = (): void => {
    for (const socket of [client, upstream]) {
      // While its end is being sent a socket cannot be reset: Node then neither does so nor closes it.
      if (socket.connecting || socket.writableEnded) socket.destroy()
      else socket.resetAndDestroy()
    }
  }
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

/** Carries bytes and the end of the stream from one socket to the other, as fast as that one takes them. */
function pump(from: Socket, to: Socket, direction: Direction, mode: () => Mode): () => void {
  from.setNoDelay(true)
  let isFull = false
  const obey = (): void => {
    if (isFull || mode() === 'stall') from.pause()
    else from.resume()
  }
  from.on('data', (chunk) => {
    if (mode() === `swallow ${direction}`) return
    isFull = !to.write(chunk)
    obey()
  })
  to.on('drain', () => {
    isFull = false
    obey()
  })
  from.on('end', () => {
    if (mode() !== `swallow ${direction}`) to.end()
  })
  obey()
  return obey
}
