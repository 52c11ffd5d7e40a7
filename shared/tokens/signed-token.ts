import type jsonwebtoken from 'jsonwebtoken'
import { createRequire } from 'node:module'
import type { Claims, Header } from '../domain/claims.ts'
import { isRecord } from '../domain/entry.ts'
import { KnellError } from '../domain/errors.ts'
import { isAlgorithm, type Algorithm } from './algorithms.ts'
import type { KeySet, VerificationKey } from './key-set.ts'
import {
  decodeHeader,
  decodePayload,
  readUnverified,
  splitToken,
  toClaims,
} from './read-unverified.ts'

const require = createRequire(import.meta.url)

/** In the year 2242. A larger number is milliseconds by mistake, or a token meant to live for ever. */
const NUMERIC_DATE_END = 2 ** 33

/** So many headers are remembered. */
const MAX_KNOWN = 64

/** What a kind of token is known by (RFC 8725, section 3.11). */
export interface Kind {
  /** The accepted `typ` headers, compared without case and without `application/`. */
  readonly types: readonly string[]
  /** Whether a token without `typ` is refused. */
  readonly typeRequired: boolean
  /** Restricts those of the keys. */
  readonly algorithms?: readonly Algorithm[] | undefined
}

/** A token whose signature is good, and whose claims may be anything. */
export interface SignedToken {
  /** Its `kid` is that of the key that verified it, also where the token named none. */
  readonly header: Header
  readonly claims: Claims
}

/** A header that says nothing that is refused. */
interface AcceptedHeader extends Header {
  readonly alg: Algorithm
}

export function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value < NUMERIC_DATE_END
}

export function invalidClaims(why: string): KnellError {
  return new KnellError('token_claims_invalid', why)
}

/** @throws KnellError `token_wrong_issuer` */
export function assertIssuer(claims: Claims, issuer: string): void {
  if (claims['iss'] === issuer) return
  throw new KnellError('token_wrong_issuer', 'The claim "iss" is not the expected issuer.')
}

/** @throws KnellError `token_wrong_audience`, `token_claims_invalid` */
export function assertAudience(claims: Claims, accepted: readonly string[]): void {
  const { aud } = claims
  const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (named.some((one) => typeof one === 'string' && accepted.includes(one))) return
  throw new KnellError('token_wrong_audience', 'The claim "aud" names no accepted audience.')
}

function plainType(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}

/**
 * Makes what reads signed tokens of one kind: header, key and signature are checked under the advice
 * of RFC 8725, and nothing else. It throws KnellError `token_malformed`, `token_too_large`,
 * `token_alg_refused`, `token_header_refused`, `token_wrong_type`, `token_unknown_key`,
 * `token_signature_invalid`, `token_claims_invalid`; `keys_unavailable`.
 */
export function createSignedReader(
  keys: KeySet,
  { types, typeRequired, algorithms }: Kind,
): (token: string) => SignedToken {
  const accepted = new Set(types.map(plainType))
  // Loaded by who verifies: a service that only checks would wait for it at every start.
  const jwt = require('jsonwebtoken') as typeof jsonwebtoken
  /** Headers of tokens whose signature was good, by their text: nearly all of an issuer have the same. */
  const known = new Map<string, AcceptedHeader>()

  /** What a header says, if it is one of this kind of token, whoever signed it. */
  function accept(header: Header): AcceptedHeader {
    const { alg, typ } = header
    const isAccepted = isAlgorithm(alg) && (algorithms?.includes(alg) ?? true)
    if (!isAccepted || !keys.algorithms.includes(alg)) {
      throw new KnellError('token_alg_refused', 'The "alg" of the token is not accepted here.')
    }
    // RFC 7515, section 4.1.11: who does not understand a critical extension must refuse. No extension is understood.
    if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64')) {
      throw new KnellError(
        'token_header_refused',
        'The token uses an extension ("crit" or "b64") that is not supported.',
      )
    }
    const typeFits = typeof typ === 'string' ? accepted.has(plainType(typ)) : !typeRequired
    if (!typeFits || (typ !== undefined && typeof typ !== 'string')) {
      throw new KnellError('token_wrong_type', 'The "typ" of the token is not accepted here.')
    }
    return { ...header, alg }
  }

  return (token) => {
    const parts = splitToken(token)
    const remembered = known.get(parts.header)
    const decoded = remembered ?? decodeHeader(parts.header)
    decodePayload(parts.payload)
    const header = remembered ?? accept(decoded)
    const key = keys.keyFor(header.alg, header['kid'])
    const claims = verifiedClaims(jwt, token, header.alg, key)
    if (remembered === undefined && isFlat(header)) {
      if (known.size >= MAX_KNOWN) known.clear()
      known.set(parts.header, header)
    }
    return { header: key.kid === undefined ? { ...header } : { ...header, kid: key.kid }, claims }
  }
}

/** Whether a shallow copy of it shares nothing that could be changed. */
function isFlat(header: Header): boolean {
  return Object.values(header).every((value) => typeof value !== 'object' || value === null)
}

/**
 * The claims of a token, once its signature is seen to be good. They are parsed once, by jsonwebtoken:
 * `decodePayload` has seen that there is one way to read them.
 */
function verifiedClaims(
  jwt: typeof jsonwebtoken,
  token: string,
  alg: Algorithm,
  key: VerificationKey,
): Claims {
  let payload: unknown
  try {
    // The claims are checked here and not there: jsonwebtoken accepts tokens without `exp`.
    payload = jwt.verify(token, key.key, {
      algorithms: [alg],
      ignoreExpiration: true,
      ignoreNotBefore: true,
    })
  } catch (cause) {
    // It does not tell a payload that is no JSON from a signature that is not good.
    readUnverified(token)
    throw new KnellError('token_signature_invalid', 'The signature of the token is not valid.', {
      cause,
    })
  }
  return isRecord(payload) ? toClaims(payload) : readUnverified(token).claims
}
