import { isUtf8 } from 'node:buffer'
import type { Claims, Header } from '../domain/claims.ts'
import { isRecord } from '../domain/entry.ts'
import { KnellError } from '../domain/errors.ts'

/** The most bytes a token may have. */
const MAX_TOKEN_BYTES = 16 * 1024

function malformed(why: string): KnellError {
  return new KnellError('token_malformed', `The token ${why}.`)
}

const BASE64URL = /^[\w-]+$/
/** By the length of a text modulo 4: the characters that leave no unused bit set where they end it. */
const ENDS: readonly (string | undefined)[] = [undefined, '', 'AQgw', 'AEIMQUYcgkosw048']

/**
 * Sees that a part is base64url without padding (RFC 7515, section 2). Only the one text that an
 * encoder makes of the bytes is taken, so a token has no second spelling with other unused bits.
 */
function assertBase64url(part: string, what: string): void {
  const ends = ENDS[part.length % 4]
  const isWhole = ends === undefined || ends.includes(part.charAt(part.length - 1))
  if (!isWhole || !BASE64URL.test(part)) throw malformed(`has a ${what} that is not base64url`)
}

/** The bytes of a part, which must be UTF-8: decoding would replace what is not. */
function decodeText(part: string, what: string): Buffer {
  assertBase64url(part, what)
  const bytes = Buffer.from(part, 'base64url')
  if (!isUtf8(bytes)) throw malformed(`has a ${what} that is not JSON in UTF-8`)
  return bytes
}

function parse(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    // The parser's own message quotes the token, so it is not passed on, not even as a cause.
    throw malformed(`has a ${what} that is not JSON in UTF-8`)
  }
}

/** Two of the three parts of a token (RFC 7515, section 7.1), not decoded. */
interface TokenParts {
  readonly header: string
  readonly payload: string
}

/** Sees that there are three parts, of which the signature is base64url. @throws KnellError `token_malformed`, `token_too_large` */
export function splitToken(token: string): TokenParts {
  if (typeof token !== 'string') throw malformed('must be a string')
  // A text never has fewer bytes than characters, so a huge one is refused without being walked.
  if (token.length > MAX_TOKEN_BYTES || Buffer.byteLength(token, 'utf8') > MAX_TOKEN_BYTES) {
    throw new KnellError('token_too_large', `The token has more than ${MAX_TOKEN_BYTES} bytes.`)
  }
  const parts = token.split('.')
  if (parts.length === 5) {
    throw malformed('has five parts, so it is encrypted (JWE); only signed tokens are read')
  }
  const [header, payload, signature] = parts
  if (parts.length !== 3 || !header || !payload || !signature) {
    throw malformed('must have three parts between dots: header, payload and signature')
  }
  assertBase64url(signature, 'signature')
  return { header, payload }
}

/** @throws KnellError `token_malformed`, `token_header_refused` */
export function decodeHeader(part: string): Header {
  const header = parse(decodeText(part, 'header'), 'header')
  if (!isRecord(header)) throw malformed('has a header that is not a JSON object')
  if (Object.hasOwn(header, '__proto__')) {
    throw new KnellError('token_header_refused', 'The header has a member called "__proto__".')
  }
  return header
}

/** The bytes of a payload, which are UTF-8, and not parsed yet. @throws KnellError `token_malformed` */
export function decodePayload(part: string): Buffer {
  return decodeText(part, 'payload')
}

/** What a payload says, as claims. @throws KnellError `token_claims_invalid` */
export function toClaims(payload: unknown): Claims {
  if (!isRecord(payload)) {
    throw new KnellError('token_claims_invalid', 'The payload must be a JSON object of claims.')
  }
  if (Object.hasOwn(payload, '__proto__')) {
    throw new KnellError('token_claims_invalid', 'The payload has a claim called "__proto__".')
  }
  return payload
}

/**
 * Reads a token WITHOUT checking its signature, key, times or claims: whatever it returns may have
 * been written by anyone. It promises only the shape of a JWS in compact form (RFC 7515, section
 * 7.1): at most 16 KiB, three parts of base64url, header and payload a JSON object with no member
 * called `__proto__`. Of a member that occurs twice the last counts, as in `verify`.
 * @throws KnellError `token_malformed`, `token_too_large`, `token_header_refused`, `token_claims_invalid`
 */
export function readUnverified(token: string): { header: Header; claims: Claims } {
  const parts = splitToken(token)
  const header = decodeHeader(parts.header)
  return { header, claims: toClaims(parse(decodePayload(parts.payload), 'payload')) }
}
