import type { IncomingHttpHeaders } from 'node:http'

/** What is read of a request: Node's own has it, HTTP/2's too, and a framework's wraps one. */
export interface RequestHead {
  readonly headers: IncomingHttpHeaders
  /** Names and values in turn, as they came. */
  readonly rawHeaders?: readonly string[]
}

/** What a request says of who sends it. */
export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'malformed'; readonly detail: string }

/** The most characters of a token that are looked at; `verify` has the same limit, in bytes. */
const MAX_TOKEN_CHARS = 16 * 1024

const NONE: Credentials = { kind: 'none' }
/** What follows the scheme's name and is no space makes it malformed, not another scheme. */
const SCHEME = /^bearer(?: +|$|(?=[^\w!#$%&'*+.^`|~-]))/i
/** `b64token` of RFC 6750, section 2.1. */
const B64TOKEN = /^[A-Za-z0-9._~+/-]+=*$/

function malformed(detail: string): Credentials {
  return { kind: 'malformed', detail }
}

/** How many headers of this name came. Node keeps only the first `authorization` in `headers`. */
function countOf(name: string, raw: readonly string[]): number {
  let count = 0
  for (let index = 0; index < raw.length; index += 2) {
    if (raw[index]?.length === name.length && raw[index]?.toLowerCase() === name) count += 1
  }
  return count
}

/**
 * Reads the bearer token of a request as RFC 6750, section 2.1 says: from one `Authorization`
 * header and from nothing else. Another scheme counts as none (section 3.1); a header that names
 * this one but follows no grammar, or two headers, are malformed, so that no two readers of the
 * same request can see different tokens.
 */
export function readCredentials({ headers, rawHeaders = [] }: RequestHead): Credentials {
  const { authorization: value } = headers
  if (countOf('authorization', rawHeaders) > 1 || Array.isArray(value)) {
    return malformed('There is more than one Authorization header.')
  }
  if (value === undefined) return NONE
  if (value === '') return malformed('The Authorization header is empty.')
  const scheme = SCHEME.exec(value.slice(0, 64))?.[0]
  if (scheme === undefined) return NONE
  return toCredentials(value.slice(scheme.length))
}

/** What was found elsewhere, such as in a cookie. @throws TypeError for what is no text */
export function givenCredentials(token: unknown): Credentials {
  if (token === undefined || token === null || token === '') return NONE
  if (typeof token === 'string') return toCredentials(token)
  throw new TypeError('getToken must return a string or undefined.')
}

function toCredentials(token: string): Credentials {
  if (token.length > MAX_TOKEN_CHARS) return { kind: 'too_large' }
  if (B64TOKEN.test(token)) return { kind: 'token', token }
  return malformed('There must be one token in the form of RFC 6750, section 2.1.')
}
