import { isIP } from 'node:net'
import { connect } from 'node:tls'
import type { TlsClient } from './tls-client.ts'

const PROBE_MS = 2000

/** Why TLS with a server fails, for where a library does not tell: undefined where it does not, or nobody answers in time. */
export function probeTls(
  { host, port }: { readonly host: string; readonly port: number },
  client: TlsClient,
): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const servername = isIP(host) === 0 ? host : ''
    const socket = connect({ host, port, servername, ...client.options })
    // A server that wants a certificate says so only after the client has taken the connection for made.
    const timer = setTimeout(() => done(undefined), PROBE_MS)
    timer.unref()
    const done = (error: Error | undefined): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(error)
    }
    socket.on('error', done)
    socket.on('close', () => done(undefined))
  })
}
