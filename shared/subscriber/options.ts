import { isRecord } from '../domain/entry.ts'
import { DEFAULT_NAMESPACE } from '../domain/names.ts'
import { DEFAULT_TENANT, isService, isTenant } from '../domain/tenant.ts'
import { parseJwksUri } from '../tokens/jwks-uri.ts'
import type { VerifySource } from './issuers.ts'
import { isKnellError } from '../domain/errors.ts'
import { readPinnedKeys, type EventKeyInput } from '../signing/event-keys.ts'
import { EventVerifier } from '../signing/event-verifier.ts'
import { settleTls, type TlsOptions } from './tls-options.ts'
import type { TlsClient } from '../tls/tls-client.ts'
import { problemsOfPolicy, type Policy, type WhenStale } from './policy.ts'

/** Where a subscriber tells what it does; a pino logger fits. */
export interface SubscriberLog {
  debug(facts: object, message: string): void
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
}

export interface ConnectOptions {
  /** The name of the consuming service: 1 to 40 characters of a-z, 0-9 and `-`. All its instances share it. */
  readonly service: string
  /** `amqp://` or `amqps://` URL of RabbitMQ. */
  readonly amqp: string
  /** Base URLs of notifiers and pollers, tried in order. */
  readonly pull: readonly string[]
  /**
   * Certificates for `amqps://` and `https://`. Certificate and host name of a server are always
   * verified. Default: whom Node trusts, and no certificate of our own.
   */
  readonly tls?: TlsOptions
  /** The secret of an API key with the scope `feed:read`. */
  readonly apiKey: string
  /** The tenants to follow. Default: `default`. */
  readonly tenants?: readonly string[]
  /** How to verify tokens, for `verify()`: `keys` or `jwksUri`, and `issuer`. With several tenants one per tenant; its `issuer` tells a token's tenant. */
  readonly verify?: VerifySource | Readonly<Record<string, VerifySource>>
  /**
   * The public keys that Knell's messages and answers are signed with: a JWK set, or a list of
   * `{ kid, pem }`. With them nothing else is believed. Default: signatures are not looked at.
   */
  readonly eventKeys?: EventKeyInput
  /** `observe` decides, counts and logs but refuses nothing for a rule's sake. Default: `enforce`. */
  readonly mode?: 'enforce' | 'observe'
  /** ms after which the view's state counts as stale. Default: 60,000. Must exceed the store's fail-over time. */
  readonly maxStaleness?: number
  /** What a stale or not yet ready view answers for a token that no known rule covers. Default: `reject`. */
  readonly whenStale?: WhenStale
  /** Whether `connect` waits for the first snapshot. Default: true. */
  readonly waitReady?: boolean
  /** First part of every AMQP name, where it is not `knell`. */
  readonly namespace?: string
  /** Without one, and without a listener for `problem`, only what keeps the view from its first snapshot is told, by `process.emitWarning`. */
  readonly log?: SubscriberLog
}

/** The options with their defaults. */
export interface Settled {
  readonly service: string
  readonly amqp: string
  readonly pull: readonly URL[]
  readonly tls: { readonly amqp?: TlsClient; readonly pull?: TlsClient }
  readonly apiKey: string
  readonly tenants: readonly string[]
  readonly verify: ReadonlyMap<string, VerifySource>
  readonly verifier: EventVerifier | undefined
  readonly observe: boolean
  readonly policy: Policy
  readonly namespace: string
  readonly log: SubscriberLog
}

const KNOWN: readonly (keyof ConnectOptions)[] = [
  'service',
  'amqp',
  'pull',
  'tls',
  'apiKey',
  'tenants',
  'verify',
  'eventKeys',
  'mode',
  'maxStaleness',
  'whenStale',
  'waitReady',
  'namespace',
  'log',
]

/** What a subscriber is given that is given no log. */
export const SILENT: SubscriberLog = { debug() {}, info() {}, warn() {} }

/** In `observe` mode what would have been refused must be seen somewhere, so without a log it goes to the console. */
const CONSOLE: SubscriberLog = {
  debug() {},
  info() {},
  // oxlint-disable-next-line no-console
  warn: (facts, message) => console.warn(`knell: ${message}`, JSON.stringify(facts)),
}

/** Checks the options and lists everything that is wrong with them at once. @throws TypeError */
export function settle(options: ConnectOptions): Settled {
  if (!isRecord(options)) throw new TypeError('connect: the options must be an object.')
  const problems: string[] = []
  const expect = (fine: boolean, problem: string): void => {
    if (!fine) problems.push(problem)
  }
  const given: Partial<ConnectOptions> = options
  for (const name of Object.keys(given)) {
    expect((KNOWN as readonly string[]).includes(name), `${name} is not an option`)
  }
  const tenants = given.tenants ?? [DEFAULT_TENANT]
  const { maxStaleness = 60_000, whenStale = 'reject', mode = 'enforce' } = given
  expect(isService(given.service), 'service must be 1 to 40 characters of a-z, 0-9 and -')
  expect(/^amqps?:\/\//.test(given.amqp ?? ''), 'amqp must be an amqp:// or amqps:// URL')
  const pull = (given.pull ?? []).flatMap((text) => {
    if (/^https?:\/\//.test(text) && URL.canParse(text)) return [new URL(text)]
    problems.push('pull must hold http:// or https:// URLs')
    return []
  })
  expect((given.pull ?? []).length > 0, 'pull must name at least one notifier or poller')
  expect(
    typeof given.apiKey === 'string' && given.apiKey !== '',
    'apiKey must be the secret of an API key',
  )
  expect(tenants.length > 0 && tenants.every(isTenant), 'tenants must be a list of tenant names')
  problems.push(...problemsOfPolicy({ maxStaleness, whenStale }))
  expect(['enforce', 'observe'].includes(mode), "mode must be 'enforce' or 'observe'")
  const tls = settleTls(given.tls, problems)
  if (tls.amqp && given.amqp?.startsWith('amqp:')) {
    problems.push('tls.amqp needs an amqps:// URL in amqp')
  }
  if (isMixed(pull)) {
    problems.push('pull must not mix https:// with http:// URLs: the API key would go in plain')
  } else if (tls.pull && pull.some(({ protocol }) => protocol === 'http:')) {
    problems.push('tls.pull needs https:// URLs in pull')
  }
  const verify = verifyByTenant(given.verify, tenants, problems)
  const namespace = given.namespace ?? DEFAULT_NAMESPACE
  const verifier = eventVerifier(given.eventKeys, namespace, problems)
  if (problems.length > 0) {
    throw new TypeError(`connect: ${problems.join('; ')}.`)
  }
  return Object.freeze({
    service: options.service,
    amqp: options.amqp,
    pull,
    tls,
    apiKey: options.apiKey,
    tenants: [...new Set(tenants)],
    verify,
    verifier,
    observe: mode === 'observe',
    policy: Object.freeze({ maxStaleness, whenStale }),
    namespace,
    log: given.log ?? (mode === 'observe' ? CONSOLE : SILENT),
  })
}

/** Whoever blocks the secure ones would be sent the API key in plain by the next. */
function isMixed(urls: readonly URL[]): boolean {
  return new Set(urls.map(({ protocol }) => protocol)).size > 1
}

function eventVerifier(
  keys: EventKeyInput | undefined,
  namespace: string,
  problems: string[],
): EventVerifier | undefined {
  if (keys === undefined) return undefined
  try {
    return new EventVerifier(readPinnedKeys(keys), namespace)
  } catch (error) {
    if (!isKnellError(error, 'config_invalid')) throw error
    problems.push(`eventKeys: ${error.message.replace(/\.$/, '')}`)
    return undefined
  }
}

function verifyByTenant(
  verify: ConnectOptions['verify'],
  tenants: readonly string[],
  problems: string[],
): Map<string, VerifySource> {
  const found = new Map<string, VerifySource>()
  if (verify === undefined) return found
  const take = (tenant: string, source: VerifySource, where: string): void => {
    found.set(tenant, source)
    problems.push(...problemsOfSource(source).map((problem) => `${where}${problem}`))
  }
  if (isSource(verify)) {
    const [only] = tenants
    if (tenants.length === 1 && only !== undefined) take(only, verify, 'verify.')
    else problems.push('verify must be given per tenant where there are several')
    return found
  }
  for (const [tenant, source] of Object.entries(verify)) {
    if (tenants.includes(tenant)) take(tenant, source, `verify.${tenant}.`)
    else problems.push(`verify names ${tenant}, which is not among tenants`)
  }
  return found
}

/** One source for the only tenant, rather than one for each. */
function isSource(verify: NonNullable<ConnectOptions['verify']>): verify is VerifySource {
  return 'issuer' in verify && ('keys' in verify || 'jwksUri' in verify)
}

const MAX_WAIT_MS = 86_400_000

function problemsOfSource(source: VerifySource): string[] {
  if (!('jwksUri' in source)) return []
  const problems: string[] = []
  if ('keys' in source) problems.push('keys and jwksUri are both there; keep one')
  try {
    parseJwksUri(source.jwksUri)
  } catch (error) {
    if (!isKnellError(error, 'config_invalid')) throw error
    problems.push(`jwksUri: ${error.message}`)
  }
  for (const name of ['jwksMaxAge', 'jwksCoolDown'] as const) {
    const { [name]: ms = 1000 } = source
    if (ms >= 100 && ms <= MAX_WAIT_MS) continue
    problems.push(`${name} must be 100 to ${MAX_WAIT_MS} ms`)
  }
  return problems
}
