import { once } from 'node:events'
import { chmod, lstat, unlink } from 'node:fs/promises'
import type { Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import process from 'node:process'
import { KnellError } from '../domain/errors.ts'
import type { Address } from './address.ts'

/**
 * Listens, and says where. A socket that a killed process left behind is taken over; one that
 * somebody still listens on is not, nor is a file that is no socket.
 * @throws KnellError `config_invalid` where it cannot
 */
export async function listen(server: Server, address: Address, mode: number): Promise<string> {
  try {
    if (address.kind === 'tcp') {
      await listening(server, { host: address.host, port: address.port })
      const { address: host, family, port } = server.address() as AddressInfo
      return `http://${family === 'IPv6' ? `[${host}]` : host}:${port}`
    }
    const { path } = address
    try {
      await bound(server, path, mode)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
      await clear(path)
      await bound(server, path, mode)
    }
    await chmod(path, mode)
    return `unix:${path}`
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = error instanceof KnellError ? message : `it is refused (${code ?? message})`
    throw new KnellError('config_invalid', `LISTEN: ${why}`, { cause: error })
  }
}

/** The socket is made within the call, so the mask leaves no moment in which others could connect. */
function bound(server: Server, path: string, mode: number): Promise<void> {
  const before = process.umask(0o777 & ~mode)
  try {
    return listening(server, { path })
  } finally {
    process.umask(before)
  }
}

async function listening(
  server: Server,
  where: { host: string; port: number } | { path: string },
): Promise<void> {
  server.listen(where)
  await once(server, 'listening')
}

/** Removes a socket on which nobody listens. */
async function clear(path: string): Promise<void> {
  if (!(await lstat(path)).isSocket()) {
    throw new KnellError('config_invalid', `at ${path} lies a file that is no socket`)
  }
  if (await isAnswered(path)) {
    throw new KnellError('config_invalid', `another process listens on ${path}`)
  }
  await unlink(path)
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    const settle = (answered: boolean): void => {
      socket.destroy()
      resolve(answered)
    }
    socket.once('connect', () => settle(true))
    // Only a refusal proves that nobody is there.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => settle(code !== 'ECONNREFUSED'))
  })
}
