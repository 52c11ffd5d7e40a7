import { isIP } from 'node:net'
import { LOOPBACK } from '../config/setting-reader.ts'

/** Where the agent listens. */
export type Address =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

/** The most bytes that a Unix socket's path may have everywhere (`sun_path` of macOS, less its end). */
const MAX_PATH_BYTES = 103

/** Reads `host:port`, `[::1]:port` or `unix:/path`; undefined where it is none of them. */
export function parseAddress(text: string): Address | undefined {
  const path = /^unix:(\/[^\0]+)$/.exec(text)?.[1]
  if (path !== undefined) {
    return Buffer.byteLength(path) <= MAX_PATH_BYTES ? { kind: 'socket', path } : undefined
  }
  const [, six, name, digits] = /^(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port > 65_535) return undefined
  if (six !== undefined) return isIP(six) === 6 ? { kind: 'tcp', host: six, port } : undefined
  return { kind: 'tcp', host: String(name), port }
}

/** Whether only this machine can reach it. */
export function isLocal(address: Address): boolean {
  return address.kind === 'socket' || LOOPBACK.test(address.host)
}
