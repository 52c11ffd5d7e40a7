import { configInvalid } from '../config/problems.ts'
import { readText } from '../config/read-text.ts'
import {
  createSettingReader,
  duration,
  isAmqpUrl,
  logLevels,
  matching,
  NAMESPACE,
  oneOf,
  type Env,
  type LogLevel,
  type SettingReader,
} from '../config/setting-reader.ts'
import { jwksInEnv, loadTenants } from '../config/tenants.ts'
import { loadTlsOf } from '../config/tls-settings.ts'
import { DEFAULT_TENANT, isService, isTenant } from '../domain/tenant.ts'
import { readPinnedKeys, type EventKeyInput } from '../signing/event-keys.ts'
import type { ConnectOptions } from '../subscriber/options.ts'
import type { KeyInput } from '../tokens/key-set.ts'
import type { VerifySource } from '../subscriber/issuers.ts'
import type { WhenStale } from '../subscriber/policy.ts'
import { isLocal, parseAddress, type Address } from './address.ts'
import { agentSettingsTable } from './settings-table.ts'

/** What the agent runs with. */
export interface AgentSettings {
  readonly connect: Omit<ConnectOptions, 'log'> & Required<Pick<ConnectOptions, 'tenants'>>
  readonly address: Address
  /** The mode of the socket. */
  readonly mode: number
  readonly realm: string
  readonly exposeReason: boolean
  readonly logLevel: LogLevel
}

const DAY_MS = 86_400_000

/**
 * Reads the settings of the agent from its environment, in which the options of its command line
 * stand already.
 * @throws KnellError `config_invalid`; its message, and `details.problems`, list everything wrong
 */
export function loadAgentSettings(env: Env): AgentSettings {
  const reader = createSettingReader(env, agentSettingsTable)
  const { read, load, value, problems } = reader
  const isYes = (name: string): boolean => read(name, oneOf(['0', '1'])) === '1'
  const amqp = read('AMQP_URL', matching(isAmqpUrl))
  const pull = read('KNELL_URL', toUrls)
  const apiKey = readApiKey(reader)
  const service = read('SERVICE', matching(isService))
  const address = read('LISTEN', parseAddress)
  if (!isYes('ALLOW_REMOTE') && address !== undefined && !isLocal(address)) {
    problems.push(
      'LISTEN: others can reach this address, and whoever reaches it may ask about any claims; use a loopback address or a Unix socket, or say --allow-remote',
    )
  }
  const { tenants, verify } = readTenants(reader)
  const eventKeys = value('EVENT_KEYS') === undefined ? undefined : read('EVENT_KEYS', toPins)
  const tls = load((from) => loadTlsOf(from, ['amqp', 'pull'])) ?? {}
  const settings = {
    connect: {
      amqp,
      pull,
      apiKey,
      service,
      tenants,
      ...(verify === undefined ? {} : { verify }),
      ...(eventKeys === undefined ? {} : { eventKeys }),
      tls: withoutGaps(tls),
      maxStaleness: read('MAX_STALENESS', duration(100, DAY_MS)),
      whenStale: read('WHEN_STALE', oneOf<WhenStale>(['reject', 'allow', 'ask'])),
      namespace: read(
        'NAMESPACE',
        matching((text) => NAMESPACE.test(text)),
      ),
      waitReady: false,
    },
    address,
    mode: read('LISTEN_MODE', (text) =>
      /^0?[0-7]{3}$/.test(text) ? parseInt(text, 8) : undefined,
    ),
    realm: read(
      'REALM',
      matching((text) => /^[\u0020-\u007e]{1,100}$/.test(text)),
    ),
    exposeReason: isYes('EXPOSE_REASON'),
    logLevel: read('LOG_LEVEL', oneOf(logLevels)),
  }
  const needed = ['AMQP_URL', 'KNELL_URL', 'SERVICE'].filter((name) => value(name) === undefined)
  problems.push(...reader.nearMisses(needed))
  if (problems.length > 0) throw configInvalid('The settings of the agent are unusable', problems)
  return Object.freeze(settings)
}

function listOf(text: string): string[] {
  return [...new Set(text.split(',').map((each) => each.trim()))]
}

/** All of one scheme: whoever blocks the secure ones would be sent the API key in plain by the next. */
function toUrls(text: string): string[] | undefined {
  const urls = listOf(text)
  const isMixed = new Set(urls.map((url) => url.split(':', 1)[0])).size > 1
  return urls.every(isHttpUrl) && !isMixed ? urls : undefined
}

function isHttpUrl(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text)
}

function toTenants(text: string): string[] | undefined {
  const names = listOf(text)
  return names.every(isTenant) ? names : undefined
}

function toPins(text: string): EventKeyInput {
  const keys = jwksInEnv(text) as EventKeyInput
  // Judged here, where what is wrong is told under the variable's name.
  readPinnedKeys(keys)
  return keys
}

function readApiKey({ value, read, problems, load }: SettingReader): string {
  const path = value('KNELL_API_KEY_FILE')
  if (path === undefined) return read('KNELL_API_KEY', (text) => text)
  if (value('KNELL_API_KEY') !== undefined) {
    problems.push('KNELL_API_KEY: is not read beside KNELL_API_KEY_FILE; remove one of them')
  }
  return load(() => readSecret(path)) ?? ''
}

function readSecret(path: string): string {
  try {
    const secret = readText(path).trim()
    if (secret !== '') return secret
  } catch (error) {
    throw configInvalid('', [`KNELL_API_KEY_FILE: ${(error as Error).message}`])
  }
  throw configInvalid('', ['KNELL_API_KEY_FILE: the file is empty'])
}

/** The tenants to follow, and how to verify the tokens of each that has keys. */
function readTenants({ value, read, problems, load }: SettingReader): {
  tenants: readonly string[]
  verify: Readonly<Record<string, VerifySource>> | undefined
} {
  const keysOf = new Map<string, unknown>()
  const declared = load((env) => loadTenants(env, (tenant, keys) => keysOf.set(tenant, keys)))
  const fromFile = value('TENANTS_FILE') !== undefined
  const named = value('TENANTS') === undefined ? undefined : read('TENANTS', toTenants)
  const tenants = named ?? (fromFile ? [...(declared?.keys() ?? [])] : [DEFAULT_TENANT])
  const audience = value('AUDIENCE') === undefined ? undefined : listOf(value('AUDIENCE') ?? '')
  for (const name of ['JWT_KEYS', 'JWKS_URI']) {
    if (fromFile || tenants.length === 1 || value(name) === undefined) continue
    problems.push(`${name}: is of one tenant; several need TENANTS_FILE`)
  }
  const verify = new Map<string, VerifySource>()
  for (const tenant of tenants) {
    // Without a file the one tenant may have any name.
    const source = fromFile ? tenant : DEFAULT_TENANT
    const settings = declared?.get(source)
    if (declared !== undefined && settings === undefined) {
      problems.push(`TENANTS: "${tenant}" is not declared in TENANTS_FILE`)
    }
    const keys = keysOf.get(source)
    const { issuer, jwksUri } = settings ?? {}
    if (issuer === undefined) continue
    const common = { issuer, ...(audience === undefined ? {} : { audience }) }
    if (keys !== undefined) verify.set(tenant, { ...common, keys: keys as KeyInput })
    else if (jwksUri !== undefined) verify.set(tenant, { ...common, jwksUri })
  }
  return { tenants, verify: verify.size === 0 ? undefined : Object.fromEntries(verify) }
}

function withoutGaps<T extends object>(members: T): { [K in keyof T]: NonNullable<T[K]> } {
  const given = Object.entries(members).filter(([, member]) => member !== undefined)
  return Object.fromEntries(given) as { [K in keyof T]: NonNullable<T[K]> }
}
