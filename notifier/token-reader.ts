import type { TenantSettings } from '../shared/config/tenant-settings.ts'
import { problemOfId, type Claims } from '../shared/domain/claims.ts'
import { KnellError } from '../shared/domain/errors.ts'
import { LEEWAY_SECONDS } from '../shared/domain/max-token-ttl.ts'
import type { Verifiers } from '../shared/keys/verifiers.ts'
import { readUnverified } from '../shared/tokens/read-unverified.ts'
import type { TokenRecord } from '../shared/store/token-store.ts'

const MAX_EXP = 2 ** 33

/** What the wheel keeps of a signed token. `now`: NumericDate of the store. @throws KnellError `token_*`, `no_verification_key` */
export async function readToken(
  verifiers: Verifiers,
  settings: TenantSettings,
  token: string,
  now: number,
  longest: number,
): Promise<TokenRecord> {
  const verified = await verifiers.verify(settings, token, { now })
  if (verified !== undefined) return readClaims(settings, verified.claims, now, longest)
  throw new KnellError(
    'no_verification_key',
    `No key is configured for tenant "${settings.tenant}"; set JWT_KEYS and ISSUER, or send {claims}.`,
  )
}

/** What the wheel keeps of a token's claims. @throws KnellError `token_claims_invalid`, `token_wrong_issuer`, `token_too_long_lived` */
export function readClaims(
  settings: TenantSettings,
  claims: Claims,
  now: number,
  longest: number,
): TokenRecord {
  const { jti, exp, iat, iss } = claims
  const problem = problemOfId(jti)
  if (problem !== undefined) {
    throw new KnellError(
      'token_claims_invalid',
      `jti ${problem}; without one a token cannot be registered.`,
    )
  }
  if (typeof exp !== 'number' || !(exp > 0 && exp < MAX_EXP)) {
    throw new KnellError(
      'token_claims_invalid',
      'exp must be a NumericDate: seconds since 1970, not milliseconds.',
    )
  }
  if (settings.issuer !== undefined && iss !== undefined && iss !== settings.issuer) {
    throw new KnellError(
      'token_wrong_issuer',
      `iss is not the issuer of tenant "${settings.tenant}".`,
    )
  }
  if (iat !== undefined && !(typeof iat === 'number' && Number.isFinite(iat))) {
    throw new KnellError('token_claims_invalid', 'iat must be a NumericDate.')
  }
  const born = typeof iat === 'number' ? iat : now + LEEWAY_SECONDS
  if (exp - born > longest) {
    throw new KnellError(
      'token_too_long_lived',
      `The token lives longer than the tenant's maximum of ${longest} s, so no check would accept it; shorten its life or raise the maximum with PUT /v1/max-token-ttl.`,
    )
  }
  return {
    jti: jti as string,
    exp,
    ...readName(claims, 'sub'),
    ...readName(claims, 'sid'),
    ...readName(claims, 'client_id'),
  }
}

function readName<Name extends 'sub' | 'sid' | 'client_id'>(
  claims: Claims,
  name: Name,
): Partial<Record<Name, string>> {
  const value = claims[name]
  if (value === undefined) return {}
  const problem = problemOfId(value)
  if (problem !== undefined) throw new KnellError('token_claims_invalid', `${name} ${problem}.`)
  return { [name]: value } as Partial<Record<Name, string>>
}

/**
 * The `jti` of a token that is to die, and its `exp` where the signature could be verified: an
 * expired token is read as well. Without a key the token is read unverified, so its `exp` says nothing.
 * @throws KnellError `token_*`
 */
export async function readDoomed(
  verifiers: Verifiers,
  settings: TenantSettings,
  token: string,
): Promise<{ jti: string; verifiedExp?: number }> {
  const verified = await verifiers.verify(settings, token, { ignoreExpiration: true })
  const { claims } = verified ?? readUnverified(token)
  const { jti, exp } = claims
  const problem = problemOfId(jti)
  if (problem !== undefined) {
    throw new KnellError(
      'token_claims_invalid',
      `The token's jti ${problem}; send a match instead, for example {"sub": …}.`,
    )
  }
  const isProven = verified !== undefined && typeof exp === 'number'
  return isProven ? { jti: jti as string, verifiedExp: exp } : { jti: jti as string }
}

/** The `iss` of a token whose signature has not been checked: only to find the tenant that can check it. */
export function issuerOf(token: string): unknown {
  return readUnverified(token).claims['iss']
}
