import { dirname, resolve } from 'node:path'
import { KnellError } from '../domain/errors.ts'
import { isRecord } from '../domain/entry.ts'
import { DEFAULT_TENANT, isTenant } from '../domain/tenant.ts'
import { nearMatch } from './near-match.ts'
import { configInvalid, problemsOf } from './problems.ts'
import { readJson } from './read-json.ts'
import {
  parseIssuerSkew,
  parseLeads,
  parseMaxTokens,
  parseMaxTokenTtl,
  toTenantSettings,
  type TenantMembers,
  type TenantSettings,
} from './tenant-settings.ts'

export type { TenantSettings }

/** The declared tenants by name; any other does not exist. */
export type Tenants = ReadonlyMap<string, TenantSettings>

type Env = Readonly<Record<string, string | undefined>>
type Members = Readonly<Record<string, unknown>>
type SeeKeys = (tenant: string, keys: unknown) => void

const members: readonly string[] = [
  'issuer',
  'keys',
  'jwks',
  'jwksUri',
  'logoutAudience',
  'maxTokenTtl',
  'expiringLead',
  'issuerSkew',
  'maxTokens',
]

/** The variable that sets a member of the one tenant there is without a file. */
const variables: Readonly<Record<keyof TenantMembers, string>> = {
  issuer: 'ISSUER',
  keys: 'JWT_KEYS',
  jwksUri: 'JWKS_URI',
  logoutAudience: 'LOGOUT_AUDIENCE',
  maxTokenTtl: 'MAX_TOKEN_TTL',
  issuerSkew: 'ISSUER_SKEW',
  expiringLead: 'EXPIRING_LEAD',
  maxTokens: 'MAX_TOKENS',
}

/** Runs `read`; what is wrong goes to `problems`, each with `where` in front. */
function attempt<T>(where: string, problems: string[], read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    problems.push(...problemsOf(error).map((problem) => `${where}: ${problem}`))
    return undefined
  }
}

/** The keys of a tenant in the file: its `keys`, or what the file its `jwks` names holds. */
function keysInFile(raw: Members, path: string, at: string, problems: string[]): unknown {
  const { keys, jwks } = raw
  if (typeof keys === 'string') {
    problems.push(`${at}: keys: is a text; to name a file, use "jwks"`)
    return undefined
  }
  if (jwks === undefined) return keys
  if (keys !== undefined) problems.push(`${at}: has both "keys" and "jwks"; keep one`)
  if (typeof jwks === 'string') {
    return attempt(`${at}: jwks`, problems, () => readJson(resolve(dirname(path), jwks)))
  }
  problems.push(`${at}: jwks: expected the path of a file with a JWK set`)
  return undefined
}

function unknownMembers(raw: Members): string[] {
  return Object.keys(raw).flatMap((name) => {
    if (members.includes(name)) return []
    const near = nearMatch(name, members)
    const hint = near ? `did you mean "${near}"?` : `known are ${members.join(', ')}`
    return [`unknown member ${JSON.stringify(name.slice(0, 60))}; ${hint}`]
  })
}

function fromFile(
  path: string,
  defaults: TenantMembers,
  problems: string[],
  seen?: SeeKeys,
): TenantSettings[] {
  // What holds a brace is not a path but JSON, keys and all, put there by mistake, so it is not shown.
  const where = path.includes('{') ? 'TENANTS_FILE' : `TENANTS_FILE: ${path}`
  const file = attempt(where, problems, () => {
    const value = readJson(path)
    if (isRecord(value) && Object.keys(value).length > 0) return value
    throw new KnellError('config_invalid', 'expected an object with one member for each tenant')
  })
  return Object.entries(file ?? {}).flatMap(([tenant, raw]) => {
    const at = `TENANTS_FILE: tenant ${JSON.stringify(tenant.slice(0, 60))}`
    if (!isTenant(tenant)) {
      problems.push(`${at}: a name is 1 to 40 of A-Z, a-z, 0-9, _ and -, and not "_all"`)
      return []
    }
    if (!isRecord(raw)) {
      problems.push(`${at}: expected an object of ${members.join(', ')}`)
      return []
    }
    problems.push(...unknownMembers(raw).map((problem) => `${at}: ${problem}`))
    const keys = keysInFile(raw, path, at, problems)
    seen?.(tenant, keys)
    return [
      toTenantSettings(tenant, { ...defaults, ...raw, keys }, (member, problem) =>
        problems.push(`${at}: ${member}: ${problem}`),
      ),
    ]
  })
}

/** A variable with keys is JSON, or else the path of a file that holds it. It is not quoted: it may be a secret, put there by mistake. */
export function jwksInEnv(text: string): unknown {
  if (/^[[{]/.test(text)) return text
  try {
    return readJson(resolve(text))
  } catch (error) {
    const why = problemsOf(error).join('; ')
    throw new KnellError('config_invalid', `expected a JWK set or the path of one: ${why}`)
  }
}

function toNumber(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text
}

function assertOneTenantEach(tenants: readonly TenantSettings[], problems: string[]): void {
  const byIssuer = new Map<string, string>()
  for (const { tenant, issuer } of tenants) {
    if (issuer === undefined) continue
    const other = byIssuer.get(issuer)
    if (other !== undefined) {
      problems.push(`TENANTS_FILE: tenants "${other}" and "${tenant}" have the same issuer`)
    }
    byIssuer.set(issuer, tenant)
  }
}

/**
 * Reads the tenants: those of `TENANTS_FILE`, a JSON object `{ "<tenant>": { issuer?, keys? or
 * jwks? (a path relative to the file) or jwksUri?, logoutAudience?, maxTokenTtl?, expiringLead?, issuerSkew?, maxTokens? } }`, or
 * without it one tenant `default` from `ISSUER`, `JWT_KEYS` or `JWKS_URI`, and `LOGOUT_AUDIENCE` (all optional). `MAX_TOKEN_TTL`
 * (default 24h), `EXPIRING_LEAD` (default none), `ISSUER_SKEW` (default 0s) and `MAX_TOKENS` (default
 * 10,000,000) hold for every tenant that does not say otherwise.
 * @throws KnellError `config_invalid`; its `details.problems` lists everything wrong with any
 *   tenant, each problem beginning with the name of the variable
 * @param seen told the keys of each tenant, as they are configured, for whoever verifies elsewhere
 */
export function loadTenants(env: Env, seen?: SeeKeys): Tenants {
  const problems: string[] = []
  const value = (name: string): string | undefined => env[name]?.trim() || undefined
  const path = value('TENANTS_FILE')
  const issuer = value('ISSUER')
  const keysText = value('JWT_KEYS')
  const jwksUri = value('JWKS_URI')
  const logoutAudience = value('LOGOUT_AUDIENCE')
    ?.split(',')
    .map((audience) => audience.trim())
  let defaults: TenantMembers = {}
  // A bad default is reported once, not once for each tenant that it would hold for.
  const maxTokenTtl = value('MAX_TOKEN_TTL')
  const issuerSkew = value('ISSUER_SKEW')
  if (maxTokenTtl && attempt('MAX_TOKEN_TTL', problems, () => parseMaxTokenTtl(maxTokenTtl))) {
    defaults = { maxTokenTtl }
  }
  if (issuerSkew && attempt('ISSUER_SKEW', problems, () => `${parseIssuerSkew(issuerSkew)}s`)) {
    defaults = { ...defaults, issuerSkew }
  }
  const expiringLead = value('EXPIRING_LEAD')
    ?.split(',')
    .map((lead) => lead.trim())
  if (expiringLead && attempt('EXPIRING_LEAD', problems, () => parseLeads(expiringLead))) {
    defaults = { ...defaults, expiringLead }
  }
  const maxText = value('MAX_TOKENS')
  const maxTokens =
    maxText && attempt('MAX_TOKENS', problems, () => parseMaxTokens(toNumber(maxText)))
  if (maxTokens) defaults = { ...defaults, maxTokens }

  let tenants: readonly TenantSettings[]
  if (path === undefined) {
    const keys = keysText && attempt('JWT_KEYS', problems, () => jwksInEnv(keysText))
    seen?.(DEFAULT_TENANT, keys || undefined)
    tenants = [
      toTenantSettings(
        DEFAULT_TENANT,
        {
          ...defaults,
          ...(issuer && { issuer }),
          ...(keys ? { keys } : {}),
          ...(jwksUri && { jwksUri }),
          ...(logoutAudience && { logoutAudience }),
        },
        (member, problem) => problems.push(`${variables[member]}: ${problem}`),
      ),
    ]
  } else {
    for (const name of ['ISSUER', 'JWT_KEYS', 'JWKS_URI', 'LOGOUT_AUDIENCE']) {
      if (value(name)) problems.push(`${name}: is not read beside TENANTS_FILE; remove one of them`)
    }
    tenants = fromFile(resolve(path), defaults, problems, seen)
    assertOneTenantEach(tenants, problems)
  }
  if (problems.length > 0) throw configInvalid('The tenants are unusable', problems)
  return new Map(tenants.map((tenant) => [tenant.tenant, tenant]))
}
