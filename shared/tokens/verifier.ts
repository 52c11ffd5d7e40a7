import { problemOfId, type Claims, type Header } from '../domain/claims.ts'
import { isRecord } from '../domain/entry.ts'
import { KnellError } from '../domain/errors.ts'
import { LEEWAY_SECONDS } from '../domain/max-token-ttl.ts'
import { isAlgorithm, type Algorithm } from './algorithms.ts'
import { createKeySet, isKeySet, type KeyInput, type KeySet } from './key-set.ts'
import { readUnverified } from './read-unverified.ts'
import {
  assertAudience,
  assertIssuer,
  createSignedReader,
  invalidClaims,
  isNumericDate,
} from './signed-token.ts'

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

/** As `VerifyOptions`, with the keys that an identity provider publishes. */
export interface RemoteVerifyOptions extends Omit<VerifyOptions, 'keys'> {
  /** Where its JWK set is (`jwks_uri` of its discovery document): `https://`, or `http://` of this machine. */
  readonly jwksUri: string
  /** ms after which the set is fetched again; its `Cache-Control` may shorten it. Default: 10 minutes. */
  readonly jwksMaxAge?: number
  /** ms between two fetches for the sake of keys that are not in it, after the first three. Default: 10 s. */
  readonly jwksCoolDown?: number
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
   *   `token_expired`; `keys_unavailable` where the keys are remote ones and have never come
   */
  verify(token: string, options?: VerifyCall): VerifiedToken
}

const DEFAULT_TYPES: readonly string[] = ['JWT', 'at+jwt']
/** The event types of OpenID: of logout tokens, CAEP, RISC and OAuth. */
const SECURITY_EVENT = /^https?:\/\/schemas\.openid\.net\//
const ID_CLAIMS: readonly string[] = ['jti', 'sub', 'sid', 'client_id']

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

/** Checks form, not meaning: what RFC 7519, section 4.1, says each claim is. */
function assertClaims(claims: Claims): asserts claims is VerifiedClaims {
  if (claims['exp'] === undefined) throw invalidClaims('The claim "exp" is missing.')
  for (const name of ['exp', 'iat', 'nbf']) {
    if (claims[name] !== undefined && !isNumericDate(claims[name])) {
      throw invalidClaims(`The claim "${name}" must be seconds since 1970, above 0 and below 2^33.`)
    }
  }
  for (const name of ID_CLAIMS) {
    const problem = claims[name] === undefined ? undefined : problemOfId(claims[name])
    if (problem) throw invalidClaims(`The claim "${name}" ${problem}.`)
  }
  const { aud } = claims
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud ?? '']
  if (!audiences.every((one) => typeof one === 'string') || aud === null) {
    throw invalidClaims('The claim "aud" must be a string or an array of strings.')
  }
}

/**
 * Whether the claims are those of a security event (RFC 8417, section 2.2), such as a logout token. Many
 * providers give one no `typ` of its own, and an access token it is not (RFC 8725, section 3.12).
 */
function isSecurityEvent({ events }: Claims): boolean {
  return isRecord(events) && Object.keys(events).some((uri) => SECURITY_EVENT.test(uri))
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
  const keys = isKeySet(options.keys)
    ? options.keys
    : createKeySet(options.keys, options.algorithms)
  const read = createSignedReader(keys, {
    types: options.typ ?? DEFAULT_TYPES,
    typeRequired: options.typ !== undefined,
    algorithms: options.algorithms,
  })

  function assertMeaning(claims: VerifiedClaims, now: number, ignoreExpiration: boolean): void {
    if (isSecurityEvent(claims)) {
      throw new KnellError('token_wrong_type', 'The token is a security event, and lets nobody in.')
    }
    assertIssuer(claims, issuer)
    if (audience) assertAudience(claims, audience)
    if (claims.nbf !== undefined && claims.nbf > now + tolerance) {
      throw new KnellError('token_not_yet_valid', 'The token is not valid yet ("nbf").')
    }
    if (!ignoreExpiration && claims.exp <= now - tolerance) {
      throw new KnellError('token_expired', 'The token has expired ("exp").')
    }
  }

  return {
    issuer,
    get kids() {
      return keys.kids
    },
    verify(token, { now = Date.now() / 1000, ignoreExpiration = false } = {}) {
      // Every comparison with NaN is false, so a bad time would let each expired token in.
      if (!Number.isFinite(now)) throw new TypeError('now must be a finite NumericDate.')
      const { header, claims } = read(token)
      assertClaims(claims)
      assertMeaning(claims, now, ignoreExpiration)
      return { header, claims }
    },
  }
}
