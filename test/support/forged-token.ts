import { createHmac, sign, type KeyObject } from 'node:crypto'

/** A part of a token: JSON of a value, or a text as it is, such as one with a member twice. */
export type Part = Readonly<Record<string, unknown>> | string

export function partOf(part: Part): string {
  const text = typeof part === 'string' ? part : JSON.stringify(part)
  return Buffer.from(text).toString('base64url')
}

/** A token of whatever header and payload, with a signature by this. */
export function forge(header: Part, payload: Part, by: (input: string) => Buffer): string {
  const input = `${partOf(header)}.${partOf(payload)}`
  return `${input}.${by(input).toString('base64url')}`
}

export const unsigned = (): Buffer => Buffer.alloc(0)

export function hmacBy(secret: string | Buffer): (input: string) => Buffer {
  return (input) => createHmac('sha256', secret).update(input).digest()
}

/** ES256 or RS256, whichever the key is for. */
export function signedBy(key: KeyObject): (input: string) => Buffer {
  return (input) => sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
}
