import type { Claims } from '../domain/claims.ts'
import { scopesOf } from './demand.ts'

/** The claims that travel in a header of their own. */
const named = [
  ['knell-sub', 'sub'],
  ['knell-sid', 'sid'],
  ['knell-client-id', 'client_id'],
  ['knell-jti', 'jti'],
  ['knell-exp', 'exp'],
] as const

/** Every header that says something of a token that was let through. */
export const claimsHeaders: readonly string[] = [
  ...named.map(([header]) => header),
  'knell-tenant',
  'knell-scope',
  'knell-claims',
  'knell-omitted',
]

/** Proxies take few kilobytes of headers from whom they ask, and refuse the call where there are more. */
const MAX_VALUE = 512
const MAX_CLAIMS = 4096

/**
 * What a proxy hands on of a token, as headers: each of `claimsHeaders`, always, empty where there is
 * nothing to say, so that one of the client's own never stays in its place. A value has its per cent
 * signs, spaces and whatever is not printable ASCII percent-encoded as UTF-8, so
 * `decodeURIComponent` gives it back. What is too long is left out, not cut, and named in `knell-omitted`.
 */
export function toClaimsHeaders(claims: Claims, tenant: string): Record<string, string> {
  const omitted: string[] = []
  const headers: Record<string, string> = {}
  const put = (header: string, value: string, most: number): void => {
    const fits = value.length <= most
    headers[header] = fits ? value : ''
    if (!fits) omitted.push(header.slice('knell-'.length))
  }
  for (const [header, claim] of named) put(header, encode(claims[claim]), MAX_VALUE)
  put('knell-tenant', tenant, MAX_VALUE)
  put('knell-scope', scopesOf(claims).map(encode).join(' '), MAX_VALUE)
  put('knell-claims', Buffer.from(JSON.stringify(claims)).toString('base64url'), MAX_CLAIMS)
  headers['knell-omitted'] = omitted.join(' ')
  return headers
}

const PLAIN = /^[\u0021-\u0024\u0026-\u007e]*$/

function encode(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') return ''
  const text = String(value)
  if (PLAIN.test(text)) return text
  // By way of bytes, since half a surrogate pair has no encoding of its own.
  const whole = Buffer.from(text).toString()
  return whole.replaceAll(/[^\u0021-\u0024\u0026-\u007e]+/g, encodeURIComponent)
}
