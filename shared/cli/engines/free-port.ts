import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below the range that Linux, macOS and Windows take outgoing ports from. A port of that range can
 * be lost, while its server is down, to any outgoing connection, even to one that a client makes to
 * this very port and that TCP then joins to itself.
 */
const LOWEST = 20_000
const HIGHEST = 32_000

/** The default port of RabbitMQ's distribution is in the range, and other tools may look for it there. */
const KEPT_CLEAR = new Set([25_672])

/** Whether nothing listens on this loopback port, found by listening there for a moment. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen({ port, host: '127.0.0.1', exclusive: true })
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

/** A loopback port that was free a moment ago. Who uses it must be ready to find it taken and ask for another. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries += 1) {
    const port = randomInt(LOWEST, HIGHEST)
    if (!KEPT_CLEAR.has(port) && (await isFree(port))) return port
  }
  throw new Error(`No free loopback port was found between ${LOWEST} and ${HIGHEST}.`)
}
