import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** KILL_REQ of the EPMD protocol: a length of one byte, then the request. */
const KILL_REQUEST = Buffer.from([0, 1, 'k'.charCodeAt(0)])
const PATIENCE_MS = 3_000

/**
 * Ends the private epmd (Erlang's port mapper) on this loopback port. Erlang starts it as a daemon of
 * its own session, so that no signal to the broker's group reaches it; asked over its own protocol it
 * goes as soon as no node is registered with it any more. Does nothing where none listens.
 */
export async function killEpmd(port: number): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (performance.now() < deadline) {
    const answer = await ask(port)
    if (answer === undefined || answer === 'OK') return
    await delay(50)
  }
}

async function ask(port: number): Promise<string | undefined> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.setTimeout(1_000, () => socket.destroy())
  try {
    await once(socket, 'connect')
    socket.end(KILL_REQUEST)
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    return answer
  } catch {
    return undefined
  } finally {
    socket.destroy()
  }
}
