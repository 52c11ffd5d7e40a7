import { problemOfId } from '../domain/claims.ts'
import { KnellError } from '../domain/errors.ts'
import { LEEWAY_SECONDS } from '../domain/max-token-ttl.ts'
import { createKeySet, type KeyInput, type KeySet } from '../tokens/key-set.ts'
import { parseJwksUri } from '../tokens/jwks-uri.ts'
import { parseDuration } from './duration.ts'
import { problemsOf } from './problems.ts'

export interface TenantSettings {
  readonly tenant: string
  /** The `iss` of the tenant's tokens. Always there where there are keys. */
  readonly issuer?: string
  /** The keys that are configured, to verify its tokens with. */
  readonly keySet?: KeySet
  /** Where an identity provider publishes the keys, instead. */
  readonly jwksUri?: string
  /** The client ids of which logout tokens are taken, in their `aud`. Absent: none are. */
  readonly logoutAudience?: readonly string[]
  /** The longest a token of the tenant lives (`exp - iat`). It only seeds the store, which keeps the truth. */
  readonly maxTokenTtlSeconds: number
  /** How long before `exp` to announce it, ascending. Empty: not at all. */
  readonly expiringLeadSeconds: readonly number[]
  /** How far the issuer's clock may run ahead of the store's: 0 to 60. */
  readonly issuerSkewSeconds: number
  /** The most registered tokens whose expiry has not been announced yet; one more is refused. */
  readonly maxTokens: number
}

/** Whether Knell may sign tokens in the tenant's name: it has an issuer, and no provider of its own publishes the keys. */
export function isIssuing(
  settings: TenantSettings,
): settings is TenantSettings & { readonly issuer: string } {
  return settings.issuer !== undefined && settings.jwksUri === undefined
}

/** What a tenant is made of, as configured. */
export interface TenantMembers {
  readonly issuer?: unknown
  readonly keys?: unknown
  readonly jwksUri?: unknown
  readonly logoutAudience?: unknown
  readonly maxTokenTtl?: unknown
  readonly expiringLead?: unknown
  readonly issuerSkew?: unknown
  readonly maxTokens?: unknown
}

/** Takes note of a problem with one member of a tenant. */
export type Report = (member: keyof TenantMembers, problem: string) => void

const DAY_SECONDS = 24 * 3600
const MAX_TTL_SECONDS = 366 * DAY_SECONDS
/** A token may lie at each of its announcements, and registering it looks at all of them. */
const MAX_LEADS = 8

export const DEFAULT_MAX_TOKEN_TTL = '24h'
export const DEFAULT_ISSUER_SKEW = '0s'
export const DEFAULT_MAX_TOKENS = 10_000_000
const MOST_TOKENS = 999_999_999

function parseSeconds(value: unknown, least: number, most: number): number {
  const found = JSON.stringify(value)?.slice(0, 60)
  if (typeof value !== 'string') {
    throw new KnellError('config_invalid', `expected a text such as "15m", found ${found}`)
  }
  const seconds = parseDuration(value) / 1000
  if (Number.isInteger(seconds) && seconds >= least && seconds <= most) return seconds
  const highest = most < DAY_SECONDS ? `${most}s` : `${most / DAY_SECONDS}d`
  throw new KnellError(
    'config_invalid',
    `expected whole seconds from ${least}s to ${highest}, found ${found}`,
  )
}

/** Reads the lead times of announcements before `exp`, ascending. @throws KnellError `config_invalid` */
export function parseLeads(value: unknown): number[] {
  if (!Array.isArray(value) || value.length > MAX_LEADS) {
    throw new KnellError('config_invalid', `expected a list of at most ${MAX_LEADS} durations`)
  }
  const leads = value.map((one) => parseSeconds(one, 1, MAX_TTL_SECONDS))
  return [...new Set(leads)].sort((a, b) => a - b)
}

/** Reads the longest life of a token: 1 s to 366 days. @throws KnellError `config_invalid` */
export function parseMaxTokenTtl(value: unknown): number {
  return parseSeconds(value, 1, MAX_TTL_SECONDS)
}

/** Reads how far an issuer's clock may run ahead: 0 to 60 s. @throws KnellError `config_invalid` */
export function parseIssuerSkew(value: unknown): number {
  return parseSeconds(value, 0, LEEWAY_SECONDS)
}

/** Reads how many tokens a tenant may have registered. @throws KnellError `config_invalid` */
export function parseMaxTokens(value: unknown): number {
  if (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MOST_TOKENS) {
    return Number(value)
  }
  const found = JSON.stringify(value)?.slice(0, 60)
  throw new KnellError(
    'config_invalid',
    `expected a whole number from 1 to ${MOST_TOKENS}, found ${found}`,
  )
}

/** Reads the audiences of logout tokens: a text or a list of them. @throws KnellError `config_invalid` */
function parseLogoutAudience(value: unknown): readonly string[] {
  const found: readonly unknown[] = Array.isArray(value) ? value : [value]
  const problem = found.map(problemOfId).find((one) => one !== undefined)
  if (problem === undefined && found.length > 0) return Object.freeze([...(found as string[])])
  throw new KnellError(
    'config_invalid',
    `expected the client ids that logout tokens are for; one ${problem ?? 'is needed'}`,
  )
}

/**
 * Makes the settings of one tenant. What is wrong with a member is reported and a harmless value
 * put in its place, so that one reading finds every problem; after a report the result is not
 * to be used.
 */
export function toTenantSettings(
  tenant: string,
  raw: TenantMembers,
  report: Report,
): TenantSettings {
  function attempt<T>(member: keyof TenantMembers, fallback: T, read: () => T): T {
    try {
      return read()
    } catch (error) {
      for (const problem of problemsOf(error)) report(member, problem)
      return fallback
    }
  }
  const problem = raw.issuer === undefined ? undefined : problemOfId(raw.issuer)
  if (problem) report('issuer', problem)
  const issuer = typeof raw.issuer === 'string' && !problem ? raw.issuer : undefined
  const { keys, jwksUri } = raw
  if ((keys !== undefined || jwksUri !== undefined) && raw.issuer === undefined) {
    report('issuer', 'is missing; where there are keys, the exact "iss" of their tokens is needed')
  }
  if (keys !== undefined && jwksUri !== undefined) {
    report('jwksUri', 'is there beside keys; keep one of them')
  }
  if (raw.logoutAudience !== undefined && keys === undefined && jwksUri === undefined) {
    report('logoutAudience', 'needs keys to verify logout tokens with')
  }
  const logoutAudience = attempt('logoutAudience', undefined, () =>
    raw.logoutAudience === undefined ? undefined : parseLogoutAudience(raw.logoutAudience),
  )
  const published = attempt('jwksUri', undefined, () =>
    jwksUri === undefined ? undefined : parseJwksUri(jwksUri).href,
  )
  const keySet = attempt('keys', undefined, () =>
    keys === undefined ? undefined : createKeySet(keys as KeyInput),
  )
  return Object.freeze({
    tenant,
    ...(issuer !== undefined && { issuer }),
    ...(keySet && { keySet }),
    ...(published && { jwksUri: published }),
    ...(logoutAudience && { logoutAudience }),
    maxTokenTtlSeconds: attempt('maxTokenTtl', 1, () =>
      parseMaxTokenTtl(raw.maxTokenTtl ?? DEFAULT_MAX_TOKEN_TTL),
    ),
    expiringLeadSeconds: Object.freeze(
      attempt('expiringLead', [], () => parseLeads(raw.expiringLead ?? [])),
    ),
    issuerSkewSeconds: attempt('issuerSkew', 0, () =>
      parseIssuerSkew(raw.issuerSkew ?? DEFAULT_ISSUER_SKEW),
    ),
    maxTokens: attempt('maxTokens', 1, () => parseMaxTokens(raw.maxTokens ?? DEFAULT_MAX_TOKENS)),
  })
}
