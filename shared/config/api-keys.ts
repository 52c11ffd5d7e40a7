import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import { isTenant } from '../domain/tenant.ts'
import { nearMatch } from './near-match.ts'
import { configInvalid, problemsOf } from './problems.ts'
import { readText } from './read-text.ts'

/** What an API key may do. `*` is all of it. */
export type Scope =
  | 'tokens:write'
  | 'tokens:claims'
  | 'tokens:issue'
  | 'revocations:write'
  | 'revocations:mass'
  | 'revocations:undo'
  | 'feed:read'
  | 'ops:read'
  | 'ops:write'
  | 'audit:read'
  | 'keys:write'
  | '*'

export const scopes: readonly Scope[] = [
  'tokens:write',
  'tokens:claims',
  'tokens:issue',
  'revocations:write',
  'revocations:mass',
  'revocations:undo',
  'feed:read',
  'ops:read',
  'ops:write',
  'audit:read',
  'keys:write',
  '*',
]

/** An API key as configured. The secret itself is not kept, only its SHA-256. */
export interface ApiKeyConfig {
  readonly name: string
  readonly sha256: Uint8Array
  readonly scopes: readonly Scope[]
  /** The tenants the key is cut to. `*`: all. */
  readonly tenants: '*' | readonly string[]
}

/** Who calls, and what it may do. */
export interface ApiKey {
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  readonly tenants: '*' | ReadonlySet<string>
  /** Whether the key has the scope, or `*`. */
  allows(scope: Exclude<Scope, '*'>): boolean
  /** Whether the key may see and change this tenant. */
  mayUse(tenant: string): boolean
}

export interface KeyRing {
  readonly keys: readonly ApiKey[]
  /**
   * The key with this secret, or undefined. Takes equally long whichever key it is, and whether or
   * not there is one: digests are compared, each in constant time, and the search never ends early.
   */
  authenticate(secret: string): ApiKey | undefined
  /** The key of this name, or undefined. */
  named(name: string): HeldKey | undefined
}

/** A key that something was once granted to, such as a session. */
export interface HeldKey {
  readonly key: ApiKey
  /** Binds a text to the key's secret: another one once the secret is another. */
  prove(text: string): string
}

const NAME = /^[A-Za-z0-9._-]{1,64}$/
const SECRET = /^[\u0021-\u007e]{16,}$/
const DIGEST_PREFIX = 'sha256.'
const DIGEST = /^[0-9a-f]{64}$/i
const SYNTAX = 'name=secret:scope+scope, optionally @tenant+tenant at the end'

function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}

/** The digest of a configured secret, or a sentence that says what is wrong with it. Never quotes it. */
function digestOf(secret: string): Buffer | string {
  if (secret.startsWith(DIGEST_PREFIX)) {
    const hex = secret.slice(DIGEST_PREFIX.length)
    return DIGEST.test(hex)
      ? Buffer.from(hex, 'hex')
      : 'needs 64 hexadecimal digits after "sha256."'
  }
  return SECRET.test(secret)
    ? sha256(secret)
    : 'needs a secret of at least 16 characters of printable ASCII without space, ":" and "@"'
}

function isScope(text: string): text is Scope {
  return (scopes as readonly string[]).includes(text)
}

/** Reads one `name=secret:scopes@tenants`; what is wrong with it goes to `problems`. */
function parseKey(word: string, at: number, problems: string[]): ApiKeyConfig | undefined {
  const equals = word.indexOf('=')
  const name = word.slice(0, Math.max(equals, 0))
  if (!NAME.test(name)) {
    // Without a name the word may be nothing but a secret, so it is called by its place.
    problems.push(`key ${at} must have the form ${SYNTAX}; a name is A-Z, a-z, 0-9 and . _ -`)
    return undefined
  }
  const before = problems.length
  const report = (problem: string): void => void problems.push(`key "${name}" ${problem}`)
  const rest = word.slice(equals + 1)
  const tenantsAt = rest.indexOf('@')
  const grant = tenantsAt < 0 ? rest : rest.slice(0, tenantsAt)
  // Scopes hold a ":" themselves and a secret cannot, so the first one ends the secret.
  const colon = grant.indexOf(':')
  const digest = digestOf(colon < 0 ? grant : grant.slice(0, colon))
  if (typeof digest === 'string') report(digest)
  const named = colon < 0 ? [] : grant.slice(colon + 1).split('+')
  if (colon < 0) report('needs ":" and at least one scope after its secret')
  for (const [index, scope] of named.entries()) {
    if (isScope(scope)) continue
    // A secret with a ":" in it would end up here, so only a near match is named.
    const near = nearMatch(scope, scopes)
    const hint = near ? `did you mean ${near}?` : `scopes are ${scopes.join(', ')}`
    report(`has an unknown scope at place ${index + 1}; ${hint}`)
  }
  const tenants = tenantsAt < 0 ? '*' : rest.slice(tenantsAt + 1).split('+')
  if (tenants !== '*' && !tenants.every(isTenant)) {
    report('needs, after "@", tenants of 1 to 40 characters of A-Z, a-z, 0-9, _ and -')
  }
  if (problems.length > before || typeof digest === 'string') return undefined
  return { name, sha256: digest, scopes: named.filter(isScope), tenants }
}

function duplicates(keys: readonly ApiKeyConfig[]): string[] {
  return keys.flatMap((key, index) =>
    keys.slice(0, index).flatMap((other) => {
      if (other.name === key.name) return [`key "${key.name}" is there twice`]
      const same = timingSafeEqual(other.sha256, key.sha256)
      return same ? [`keys "${other.name}" and "${key.name}" have the same secret`] : []
    }),
  )
}

/**
 * Parses API keys separated by white space: `name=secret:scope+scope`, optionally `@tenant+tenant`
 * at the end; the secret may be `sha256.<hex>`. A word that begins with `#` makes the rest of its
 * line a comment. Empty text is no keys.
 * @throws KnellError `config_invalid`; its `details.problems` lists everything wrong, with the
 *   names of the keys and never a secret
 */
export function parseApiKeys(text: string): readonly ApiKeyConfig[] {
  const problems: string[] = []
  const words = text.replace(/(^|\s)#.*$/gm, '$1').match(/\S+/g) ?? []
  const keys = words.flatMap((word, index) => parseKey(word, index + 1, problems) ?? [])
  problems.push(...duplicates(keys))
  if (problems.length > 0) throw configInvalid('The API keys are unusable', problems)
  return keys
}

/**
 * Reads the keys of `API_KEYS` and of the file that `API_KEYS_FILE` names, which both count. Call it
 * again when the file has changed.
 * @throws KnellError `config_invalid`; its `details.problems` lists everything wrong, each problem
 *   beginning with the name of the variable
 */
export function loadApiKeys(
  env: Readonly<Record<string, string | undefined>>,
): readonly ApiKeyConfig[] {
  const problems: string[] = []
  const attempt = (name: string, read: () => string): readonly ApiKeyConfig[] => {
    try {
      return parseApiKeys(read())
    } catch (error) {
      problems.push(...problemsOf(error).map((problem) => `${name}: ${problem}`))
      return []
    }
  }
  const path = env['API_KEYS_FILE']?.trim() ?? ''
  const keys = [
    ...attempt('API_KEYS', () => env['API_KEYS'] ?? ''),
    // What holds a "=" is not a path but keys, put there by mistake, so it is not shown.
    ...attempt(path.includes('=') ? 'API_KEYS_FILE' : `API_KEYS_FILE: ${path}`, () =>
      path === '' ? '' : readText(path),
    ),
  ]
  if (problems.length === 0) {
    problems.push(...duplicates(keys).map((problem) => `API_KEYS, API_KEYS_FILE: ${problem}`))
  }
  if (problems.length > 0) throw configInvalid('The API keys are unusable', problems)
  return keys
}

function toApiKey(config: ApiKeyConfig): ApiKey {
  const granted = new Set(config.scopes)
  const tenants = config.tenants === '*' ? '*' : new Set(config.tenants)
  return Object.freeze({
    name: config.name,
    scopes: granted,
    tenants,
    allows: (scope: Scope) => granted.has('*') || granted.has(scope),
    mayUse: (tenant: string) => tenants === '*' || tenants.has(tenant),
  })
}

/** Makes the ring that callers are looked up in. No keys: nobody is let in. */
export function createKeyRing(configs: readonly ApiKeyConfig[]): KeyRing {
  const entries = configs.map((config) => ({ sha256: config.sha256, key: toApiKey(config) }))
  return Object.freeze({
    keys: entries.map((entry) => entry.key),
    authenticate(secret: string) {
      const digest = sha256(secret)
      let found: ApiKey | undefined
      for (const entry of entries) {
        const equal = timingSafeEqual(entry.sha256, digest)
        found = equal ? entry.key : found
      }
      return found
    },
    named(name: string) {
      const entry = entries.find(({ key }) => key.name === name)
      if (entry === undefined) return undefined
      const prove = (text: string): string =>
        createHmac('sha256', entry.sha256).update(text).digest('base64url')
      return { key: entry.key, prove }
    },
  })
}
