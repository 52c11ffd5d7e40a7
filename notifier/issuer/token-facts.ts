import { createHash } from 'node:crypto'
import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import type { Claims, Header } from '../../shared/domain/claims.ts'
import { isKnellError } from '../../shared/domain/errors.ts'
import { decide } from '../../shared/http/routes/check.ts'
import type { Services } from '../../shared/http/services.ts'
import type { VerifiedClaims } from '../../shared/tokens/verifier.ts'

/** Past every `nbf`: when a token becomes valid is for the store's clock to say. */
const ANY_TIME = 2 ** 33

/** A token that somebody sent us: what was signed, or claims that stand in for those of a token that is none. */
interface Subject {
  readonly claims: VerifiedClaims
  readonly header: Header
  readonly isProven: boolean
}

/**
 * The claims of an access token whose signature is good, expired or not; undefined for any other
 * text. Tokens of other kinds, by their `typ` or since they carry `events` (RFC 8417: a logout token,
 * an event), are no access tokens.
 * @throws KnellError `store_*`
 */
export async function readProven(
  { verifiers }: Pick<Services, 'verifiers'>,
  settings: TenantSettings,
  token: string,
): Promise<{ claims: VerifiedClaims; header: Header } | undefined> {
  try {
    const call = { ignoreExpiration: true, now: ANY_TIME }
    const verified = await verifiers.verify(settings, token, call)
    return verified === undefined || Object.hasOwn(verified.claims, 'events') ? undefined : verified
  } catch (error) {
    if (isKnellError(error) && error.code.startsWith('token_')) return undefined
    throw error
  }
}

/**
 * The claims of an access token that is live by its signature, the store's clock and rules and, where
 * `isStateful`, the list of issued tokens; undefined for any other text. The store is asked the same
 * whatever the token is, so that the time of an answer tells nobody whether a token is known, or whose.
 * @throws KnellError `store_*`
 */
export async function readLive(
  services: Services,
  settings: TenantSettings,
  token: string,
  isStateful: boolean,
): Promise<VerifiedClaims | undefined> {
  const { tenant } = settings
  const { claims, header, isProven } = await subjectOf(services, settings, token)
  const { jti, exp, nbf } = claims
  const isListed = (): Promise<boolean> =>
    services.tokens.isRegistered(tenant, jti ?? standIn(token, 'jti'), exp)
  const [{ decision }, isKnown] = await Promise.all([
    decide(services, tenant, claims, header),
    isStateful ? isListed() : true,
  ])
  const hasBegun = nbf === undefined || nbf * 1000 <= decision.asOf
  const isLive = isProven && decision.active && hasBegun && isKnown
  return isLive && (jti !== undefined || !isStateful) ? claims : undefined
}

async function subjectOf(
  services: Services,
  settings: TenantSettings,
  token: string,
): Promise<Subject> {
  const proven = await readProven(services, settings, token)
  return proven === undefined ? standInFor(token) : { ...proven, isProven: true }
}

/** Claims of a token as Knell issues them, which nobody has: always the same ones for the same text. */
function standInFor(token: string): Subject {
  const claims: Claims = Object.fromEntries(
    ['iss', 'jti', 'sid', 'sub', 'client_id', 'aud'].map((name) => [name, standIn(token, name)]),
  )
  const times = { iat: ANY_TIME - 1, exp: ANY_TIME }
  const header = { kid: standIn(token, 'kid') }
  return { claims: { ...claims, ...times } as VerifiedClaims, header, isProven: false }
}

function standIn(token: string, name: string): string {
  return createHash('sha256').update(`${name} ${token}`).digest('base64url')
}
