import { problemOfId } from '../domain/claims.ts'
import { isRecord } from '../domain/entry.ts'
import { KnellError } from '../domain/errors.ts'
import { LEEWAY_SECONDS } from '../domain/max-token-ttl.ts'
import type { KeySet } from './key-set.ts'
import {
  assertAudience,
  assertIssuer,
  createSignedReader,
  invalidClaims,
  isNumericDate,
} from './signed-token.ts'
import type { VerifyCall } from './verifier.ts'

export const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'

/** What a provider says in a logout token: `sid` or `sub`, or both, have been logged out. */
export interface LogoutToken {
  readonly jti: string
  /** NumericDate, whole seconds. */
  readonly iat: number
  readonly sub?: string
  readonly sid?: string
}

export interface LogoutVerifierOptions {
  readonly keys: KeySet
  /** The exact `iss`. */
  readonly issuer: string
  /** `aud` must hold one of these. */
  readonly audience: readonly string[]
}

export interface LogoutVerifier {
  readonly issuer: string
  /**
   * Validates a logout token (OpenID Connect Back-Channel Logout 1.0 incorporating errata set 1,
   * section 2.6). `now`: NumericDate.
   * @throws KnellError `token_*`, `keys_unavailable`
   */
  verify(token: string, call?: Pick<VerifyCall, 'now'>): LogoutToken
}

/**
 * The standard recommends `logout+jwt` and does not demand it, and most providers send `JWT` or
 * nothing. Such a token is told from an access token by its `events`, which those never have, and from
 * an ID token by that and by having no `nonce` (RFC 8725, section 3.12). Any other `typ` is refused.
 */
const KIND = { types: ['logout+jwt', 'JWT'], typeRequired: false }

/** A provider that tries again makes a new token, so an old one is a copy. Its `exp` is two minutes away, as a rule. */
const MAX_AGE_SECONDS = 300

/** Makes a validator of logout tokens, which shares no rule of claims with that of access tokens. */
export function createLogoutVerifier(options: LogoutVerifierOptions): LogoutVerifier {
  const { keys, issuer, audience } = options
  if (audience.length === 0) throw new TypeError('audience must name one at least.')
  const read = createSignedReader(keys, KIND)
  return {
    issuer,
    verify(token, { now = Date.now() / 1000 } = {}) {
      if (!Number.isFinite(now)) throw new TypeError('now must be a finite NumericDate.')
      const { claims } = read(token)
      assertIssuer(claims, issuer)
      assertAudience(claims, audience)
      const { events } = claims
      if (!isRecord(events) || !isRecord(events[LOGOUT_EVENT])) {
        throw invalidClaims(`The claim "events" must be an object with the member ${LOGOUT_EVENT}.`)
      }
      if (Object.hasOwn(claims, 'nonce')) {
        throw invalidClaims('A logout token must have no "nonce"; this may be an ID token.')
      }
      const iat = timesOf(claims['iat'], claims['exp'], now)
      const jti = textOf('jti', claims['jti'])
      if (jti === undefined) throw invalidClaims('The claim "jti" is missing.')
      const sub = textOf('sub', claims['sub'])
      const sid = textOf('sid', claims['sid'])
      if (sub === undefined && sid === undefined) {
        throw invalidClaims('A logout token must have "sub" or "sid", or both.')
      }
      return {
        jti,
        iat,
        ...(sub === undefined ? {} : { sub }),
        ...(sid === undefined ? {} : { sid }),
      }
    },
  }
}

/** The `iat`, where both times are good; the provider's clock may be off by a minute. */
function timesOf(iat: unknown, exp: unknown, now: number): number {
  if (!isNumericDate(iat) || !isNumericDate(exp)) {
    throw invalidClaims('The claims "iat" and "exp" must be seconds since 1970.')
  }
  if (exp <= now - LEEWAY_SECONDS || iat < now - LEEWAY_SECONDS - MAX_AGE_SECONDS) {
    throw new KnellError('token_expired', 'The logout token has expired, or is no longer recent.')
  }
  if (iat > now + LEEWAY_SECONDS) {
    throw new KnellError('token_not_yet_valid', 'The logout token was issued in the future.')
  }
  return Math.floor(iat)
}

function textOf(name: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  const problem = problemOfId(value)
  if (problem !== undefined) throw invalidClaims(`The claim "${name}" ${problem}.`)
  return value as string
}
