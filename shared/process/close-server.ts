import type { Server } from 'node:http'

/** How long calls under way may take to finish when a process stops. */
const FINISH_MS = 4000
const IDLE_MS = 50

/**
 * Takes no more calls and lets those under way finish, for a while. A kept-alive connection whose
 * call ends only now would hold the server open until its time-out, so idle ones are closed again and again.
 */
export async function closeServer(server: Server, close: () => Promise<unknown>): Promise<void> {
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_MS)
  const all = setTimeout(() => server.closeAllConnections(), FINISH_MS)
  try {
    await close()
  } finally {
    clearInterval(idle)
    clearTimeout(all)
  }
}
