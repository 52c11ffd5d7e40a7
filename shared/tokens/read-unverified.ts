import type { Claims, Header } from '../domain/claims.ts'
import { isRecord } from '../domain/entry.ts'
import { KnellError } from '../domain/errors.ts'

/** The most bytes a token may have. */
const MAX_TOKEN_BYTES = 16 * 1024

const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function malformed(why: string): KnellError {
  return new KnellError('token_malformed', `The token ${why}.`)
}

/**
 * Decodes base64url without padding (RFC 7515, section 2). Only the one text that an encoder makes
 * of the bytes is taken, so a token has no second spelling with other unused bits.
 */
function decode(part: string, what: string): Buffer {
  const bytes = Buffer.from(part, 'base64url')
  if (bytes.toString('base64url') !== part) throw malformed(`has a ${what} that is not base64url`)
  return bytes
}

function parse(part: string, what: string): unknown {
  try {
    return JSON.parse(text.decode(decode(part, what)))
  } catch (error) {
    // The parser's own message quotes the token, so it is not passed on, not even as a cause.
    throw error instanceof KnellError ? error : malformed(`has a ${what} that is not JSON in UTF-8`)
  }
}

/**
 * Reads a token WITHOUT checking its signature, key, times or claims: whatever it returns may have
 * been written by anyone. It promises only the shape of a JWS in compact form (RFC 7515, section
 * 7.1): at most 16 KiB, three parts of base64url, header and payload a JSON object with no member
 * called `__proto__`. Of a member that occurs twice the last counts, as in `verify`.
 * @throws KnellError `token_malformed`, `token_too_large`, `token_header_refused`, `token_claims_invalid`
 */
export function readUnverified(token: string): { header: Header; claims: Claims } {
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
  decode(signature, 'signature')
  const head = parse(header, 'header')
  if (!isRecord(head)) throw malformed('has a header that is not a JSON object')
  if (Object.hasOwn(head, '__proto__')) {
    throw new KnellError('token_header_refused', 'The header has a member called "__proto__".')
  }
  const claims = parse(payload, 'payload')
  if (!isRecord(claims)) {
    throw new KnellError('token_claims_invalid', 'The payload must be a JSON object of claims.')
  }
  if (Object.hasOwn(claims, '__proto__')) {
    throw new KnellError('token_claims_invalid', 'The payload has a claim called "__proto__".')
  }
  return { header: head, claims }
}
