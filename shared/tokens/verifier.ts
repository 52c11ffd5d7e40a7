import jwt from 'jsonwebtoken'
import { problemOfId, type Claims, type Header } from '../domain/claims.ts'
import { KnellError } from '../domain/errors.ts'
import { LEEWAY_SECONDS } from '../domain/max-token-ttl.ts'
import { isAlgorithm, type Algorithm } from './algorithms.ts'
import {
  createKeySet,
  isKeySet,
  type KeyInput,
  type KeySet,
  type VerificationKey,
} from './key-set.ts'
import { readUnverified } from './read-unverified.ts'

export { readUnverified }

export interface VerifyOptions {
  /** A JWK set (RFC 7517, section 5; an object or JSON text), or a list of `{ kid?, alg?, pem | jwk | secret }`; or keys that were read before. */
  readonly keys: KeyInput | KeySet
  /** The exact `iss` of every token. */
  readonly issuer: string
  /** The token's `aud` must hold one of these. Absent: `aud` is not looked at. */
  readonly audience?: string | readonly string[]
  /** Restricts the algorithms. Default: those the keys are made for. Never taken from the token (RFC 8725, section 3.1). */
  readonly algorithms?: readonly Algorithm[]
  /**
   * The accepted `typ` headers (RFC 8725, section 3.11), compared without case and without
   * `application/`. Default: `JWT`, `at+jwt` and none at all. When given, a token must have one.
   */
  readonly typ?: readonly string[]
  /** How far clocks may differ, in seconds, for `exp` and `nbf`. Default 0, at most 60. */
  readonly clockToleranceSeconds?: number
}

/** The payload of a verified token: these claims have been checked, others may be anything. */
export interface VerifiedClaims extends Claims {
  readonly iss: string
  readonly exp: number
  readonly iat?: number
  readonly nbf?: number
  readonly jti?: string
  readonly sub?: string
  readonly sid?: string
  readonly client_id?: string
  readonly aud?: string | readonly string[]
}

export interface VerifiedToken {
  /** The token's header. Its `kid` is that of the key that verified it, also where the token named none, so that a rule on `kid` meets every token of that key. */
  readonly header: Header
  readonly claims: VerifiedClaims
}

export interface VerifyCall {
  /** The time to judge by (NumericDate seconds, fractions allowed). Default: this machine's clock. */
  readonly now?: number
  /** Accept a token whose `exp` has passed, as for revoking one. Default false. */
  readonly ignoreExpiration?: boolean
}

export interface Verifier {
  readonly issuer: string
  /** The names of the keys, without those that have none. */
  readonly kids: readonly string[]
  /**
   * Verifies a signed token (RFC 7519, section 7.2, with the advice of RFC 8725) and returns what
   * was signed. Members that occur twice in the JSON: the last counts, and since nothing but this
   * result is used, no two readers can see different ones. Header members that point to keys
   * (`jku`, `x5u`, `jwk`, `x5c`) are ignored and never fetched. An `iat` in the future, and how
   * long the token lives, are judged elsewhere. Messages quote nothing of the token.
   * @throws KnellError `token_malformed`, `token_too_large`, `token_alg_refused`,
   *   `token_header_refused`, `token_wrong_type`, `token_unknown_key`, `token_signature_invalid`,
   *   `token_claims_invalid`, `token_wrong_issuer`, `token_wrong_audience`, `token_not_yet_valid`,
   *   `token_expired`
   */
  verify(token: string, options?: VerifyCall): VerifiedToken
}

const DEFAULT_TYPES: readonly string[] = ['JWT', 'at+jwt']
/** In the year 2242. A larger number is milliseconds by mistake, or a token meant to live for ever. */
const NUMERIC_DATE_END = 2 ** 33
const ID_CLAIMS: readonly string[] = ['jti', 'sub', 'sid', 'client_id']

function plainType(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}

function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value < NUMERIC_DATE_END
}

function assertOptions(options: VerifyOptions): void {
  const { issuer, algorithms, typ, clockToleranceSeconds: tolerance = 0 } = options
  if (typeof issuer !== 'string' || issuer === '') {
    throw new TypeError('issuer must be the exact "iss" of the tokens to verify.')
  }
  if (algorithms && (algorithms.length === 0 || !algorithms.every(isAlgorithm))) {
    throw new TypeError('algorithms must list one or more of HS*, RS*, PS*, ES* (256, 384, 512).')
  }
  if (typ && (typ.length === 0 || !typ.every((one) => typeof one === 'string' && one !== ''))) {
    throw new TypeError('typ must list one or more "typ" values.')
  }
  if (!(tolerance >= 0 && tolerance <= LEEWAY_SECONDS)) {
    throw new TypeError(`clockToleranceSeconds must be 0 to ${LEEWAY_SECONDS}.`)
  }
}

function audienceList(audience: VerifyOptions['audience']): readonly string[] | undefined {
  if (audience === undefined) return undefined
  const list = typeof audience === 'string' ? [audience] : audience
  if (list.length === 0 || !list.every((one) => typeof one === 'string' && one !== '')) {
    throw new TypeError('audience must be one or more non-empty strings.')
  }
  return list
}

function invalid(why: string): KnellError {
  return new KnellError('token_claims_invalid', why)
}

/** Checks form, not meaning: what RFC 7519, section 4.1, says each claim is. */
function assertClaims(claims: Claims): asserts claims is VerifiedClaims {
  if (claims['exp'] === undefined) throw invalid('The claim "exp" is missing.')
  for (const name of ['exp', 'iat', 'nbf']) {
    if (claims[name] !== undefined && !isNumericDate(claims[name])) {
      throw invalid(`The claim "${name}" must be seconds since 1970, above 0 and below 2^33.`)
    }
  }
  for (const name of ID_CLAIMS) {
    const problem = claims[name] === undefined ? undefined : problemOfId(claims[name])
    if (problem) throw invalid(`The claim "${name}" ${problem}.`)
  }
  const { aud } = claims
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud ?? '']
  if (!audiences.every((one) => typeof one === 'string') || aud === null) {
    throw invalid('The claim "aud" must be a string or an array of strings.')
  }
}

function assertSignature(token: string, alg: Algorithm, key: VerificationKey): void {
  try {
    // The claims are checked here and not there: jsonwebtoken accepts tokens without `exp`.
    jwt.verify(token, key.key, {
      algorithms: [alg],
      ignoreExpiration: true,
      ignoreNotBefore: true,
    })
  } catch (cause) {
    throw new KnellError('token_signature_invalid', 'The signature of the token is not valid.', {
      cause,
    })
  }
}

/**
 * Makes a verifier for the tokens of one issuer. The keys are read and checked once, here.
 * @throws KnellError `config_invalid`; its `details.problems` lists everything wrong with any key
 * @throws TypeError for any other option out of its bounds
 */
export function createVerifier(options: VerifyOptions): Verifier {
  assertOptions(options)
  const { issuer, clockToleranceSeconds: tolerance = 0 } = options
  const audience = audienceList(options.audience)
  const types = new Set((options.typ ?? DEFAULT_TYPES).map(plainType))
  const typeRequired = options.typ !== undefined
  const keys = isKeySet(options.keys)
    ? options.keys
    : createKeySet(options.keys, options.algorithms)

  function keyOf(header: Header): { alg: Algorithm; key: VerificationKey } {
    const { alg, typ } = header
    const isAccepted = isAlgorithm(alg) && (options.algorithms?.includes(alg) ?? true)
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
    const typeFits = typeof typ === 'string' ? types.has(plainType(typ)) : !typeRequired
    if (!typeFits || (typ !== undefined && typeof typ !== 'string')) {
      throw new KnellError('token_wrong_type', 'The "typ" of the token is not accepted here.')
    }
    return { alg, key: keys.keyFor(alg, header['kid']) }
  }

  function assertMeaning(claims: VerifiedClaims, now: number, ignoreExpiration: boolean): void {
    if (claims.iss !== issuer) {
      throw new KnellError('token_wrong_issuer', 'The claim "iss" is not the expected issuer.')
    }
    if (audience) {
      const { aud = [] } = claims
      const named = typeof aud === 'string' ? [aud] : aud
      if (!named.some((one) => audience.includes(one))) {
        throw new KnellError('token_wrong_audience', 'The claim "aud" names no accepted audience.')
      }
    }
    if (claims.nbf !== undefined && claims.nbf > now + tolerance) {
      throw new KnellError('token_not_yet_valid', 'The token is not valid yet ("nbf").')
    }
    if (!ignoreExpiration && claims.exp <= now - tolerance) {
      throw new KnellError('token_expired', 'The token has expired ("exp").')
    }
  }

  return {
    issuer,
    kids: keys.kids,
    verify(token, { now = Date.now() / 1000, ignoreExpiration = false } = {}) {
      // Every comparison with NaN is false, so a bad time would let each expired token in.
      if (!Number.isFinite(now)) throw new TypeError('now must be a finite NumericDate.')
      const { header, claims } = readUnverified(token)
      const { alg, key } = keyOf(header)
      assertSignature(token, alg, key)
      assertClaims(claims)
      assertMeaning(claims, now, ignoreExpiration)
      return { header: key.kid === undefined ? header : { ...header, kid: key.kid }, claims }
    },
  }
}
