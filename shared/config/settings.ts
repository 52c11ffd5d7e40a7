import { isIP } from 'node:net'
import { validate } from 'node-cron'
import { createKeyRing, loadApiKeys, type KeyRing } from './api-keys.ts'
import { loadClients, type ClientRing } from './clients.ts'
import { configInvalid } from './problems.ts'
import { readSigningKeys, type EventKey } from '../signing/event-keys.ts'
import { readIssuerSettings, type IssuerSettings } from './issuer-settings.ts'
import { parseManagementUrl, parsePrometheusUrl, type HttpTarget } from './rabbit-urls.ts'
import { parseRedisUrl, type RedisTarget } from './redis-url.ts'
import {
  createSettingReader,
  duration,
  isAmqpUrl,
  logLevels,
  LOOPBACK,
  matching,
  NAMESPACE,
  oneOf,
  whole,
  type Env,
  type LogLevel,
} from './setting-reader.ts'
import { settingsTable, type ProcessKind, type SettingRow } from './settings-table.ts'
import { loadTenants, jwksInEnv, type Tenants } from './tenants.ts'
import { loadTls, tlsVariables } from './tls-settings.ts'
import { createTlsClient, type TlsClient } from '../tls/tls-client.ts'
import type { TlsIdentity } from '../tls/tls-identity.ts'

export { NAMESPACE, settingsTable, type Env, type LogLevel, type ProcessKind, type SettingRow }

/** What a process runs with. Frozen. */
export interface Settings {
  readonly kind: ProcessKind
  readonly amqpUrl: string
  /** Where `amqpUrl` is of TLS. That of Redis is in `redis`. */
  readonly amqpTls?: TlsClient
  readonly redis: RedisTarget
  /** Where RabbitMQ's queues can be looked at, besides AMQP. */
  readonly management: HttpTarget | undefined
  readonly prometheus: HttpTarget | undefined
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** What HTTPS is served with; absent: HTTP. */
  readonly serverTls?: TlsIdentity
  /** `open`: authentication is off, which only `--dev` on a loopback address can bring about. */
  readonly apiKeys: KeyRing | 'open'
  /** Where keys are read from besides `API_KEYS`; `loadApiKeys` reads them again. */
  readonly apiKeysFile: string | undefined
  readonly tenants: Tenants
  /** The OAuth clients, as they were when the process started. */
  readonly clients: ClientRing
  /** Where the clients are read from; `loadClients` reads them again. */
  readonly clientsFile: string | undefined
  /** Private keys; the first signs what goes to subscribers. None: nothing is signed. */
  readonly eventSigningKeys: readonly EventKey[]
  readonly shards: number
  readonly beatMs: number
  readonly sweepCron: string
  readonly sweepGraceMs: number
  readonly feedRetentionMs: number
  /** How long the audit trail is kept. 0: there is none. */
  readonly auditDays: number
  /** The most records of changes that a shard keeps, however young they are. */
  readonly auditMax: number
  /** Addresses and networks of proxies whose `X-Forwarded-For` is believed. */
  readonly trustProxy: readonly string[]
  readonly backlogMax: number
  readonly logLevel: LogLevel
  /** The first part of every Redis key and AMQP name. */
  readonly namespace: string
  /** Whether the notifier serves the dashboard. */
  readonly isOpsOn: boolean
  /** A session of the dashboard ends after so long, whatever happens. */
  readonly opsSessionMs: number
  /** A session ends when nobody has done anything for so long. */
  readonly opsIdleMs: number
  /** How tokens are issued; undefined: they are not. */
  readonly issuer: IssuerSettings | undefined
  /** Whether a store that may lose what it acknowledged keeps the process from starting. */
  readonly storeStrict: boolean
}

const HOST = /^[A-Za-z0-9.:_-]{1,253}$/
const HOUR_MS = 3_600_000

/** IP addresses and networks, parted by commas. */
function proxies(text: string): string[] | undefined {
  const found = text.split(',').map((each) => each.trim())
  const isGood = found.every((each) => {
    const [address = '', bits, ...more] = each.split('/')
    const version = isIP(address)
    if (version === 0 || more.length > 0) return false
    return (
      bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
    )
  })
  return isGood ? found : undefined
}

/**
 * Reads the settings of a process from its environment. An empty variable counts as absent.
 * Without any API key it refuses, unless `dev` is given and `HOST` is a loopback address.
 * @throws KnellError `config_invalid`; its message, and `details.problems`, list everything wrong:
 *   the name, what was expected and what was found, with secrets masked
 */
export function loadSettings(
  env: Env,
  kind: ProcessKind,
  flags: { readonly dev: boolean } = { dev: false },
): Settings {
  const rows = settingsTable.filter((row) => row.name !== 'PORT' || row.kinds.includes(kind))
  const reader = createSettingReader(env, rows)
  const { value, read, load, problems, nearMisses } = reader

  const amqpUrl = read('AMQP_URL', matching(isAmqpUrl))
  const redis = read('REDIS_URL', parseRedisUrl)
  const target = (name: string, parse: typeof parseManagementUrl): HttpTarget | undefined =>
    value(name) === undefined ? undefined : read(name, (text) => parse(text, amqpUrl ?? 'amqp://x'))
  const host = read(
    'HOST',
    matching((text) => HOST.test(text)),
  )
  const port = read('PORT', whole(0, 65_535))
  const keys = load(loadApiKeys)
  const open = keys?.length === 0 && flags.dev && LOOPBACK.test(host)
  if (keys?.length === 0 && !open) {
    const hint = flags.dev
      ? `--dev goes without only where HOST is a loopback address, such as 127.0.0.1`
      : 'to try Knell out without, start it with --dev'
    problems.push(`API_KEYS: expected a key here or in API_KEYS_FILE, found none; ${hint}`)
  }
  const tenants = load(loadTenants)
  const clientsFile = value('CLIENTS_FILE')
  // Where the tenants cannot be read, no client is said to have a wrong one.
  const clients = load(() => loadClients(clientsFile, (tenant) => tenants?.has(tenant) ?? true))
  const tls = load(loadTls)
  const settings = {
    kind,
    amqpUrl,
    ...(tls?.amqp && { amqpTls: createTlsClient(tls.amqp) }),
    redis: tls?.redis ? Object.freeze({ ...redis, tlsClient: createTlsClient(tls.redis) }) : redis,
    management: target('RABBITMQ_MANAGEMENT_URL', parseManagementUrl),
    prometheus: target('RABBITMQ_PROMETHEUS_URL', parsePrometheusUrl),
    host,
    port,
    ...(tls?.server && { serverTls: tls.server }),
    apiKeysFile: value('API_KEYS_FILE'),
    clientsFile,
    eventSigningKeys:
      value('EVENT_SIGNING_KEYS') === undefined
        ? []
        : read('EVENT_SIGNING_KEYS', (text) => readSigningKeys(jwksInEnv(text))),
    shards: read('SHARDS', whole(1, 64)),
    beatMs: read('BEAT', duration(100, 60_000)),
    sweepCron: read('SWEEP_CRON', matching(validate)),
    sweepGraceMs: read('SWEEP_GRACE', duration(0, HOUR_MS)),
    feedRetentionMs: read('FEED_RETENTION', duration(1000, 366 * 24 * HOUR_MS)),
    auditDays: read('AUDIT_DAYS', whole(0, 3660)),
    auditMax: read('AUDIT_MAX', whole(100, 100_000_000)),
    trustProxy: value('TRUST_PROXY') === undefined ? [] : read('TRUST_PROXY', proxies),
    backlogMax: read('BACKLOG_MAX', whole(1, 10_000_000)),
    logLevel: read('LOG_LEVEL', oneOf(logLevels)),
    namespace: read(
      'NAMESPACE',
      matching((text) => NAMESPACE.test(text)),
    ),
    isOpsOn: read('OPS', oneOf(['0', '1'])) === '1',
    opsSessionMs: read('OPS_SESSION', duration(1000, 30 * 24 * HOUR_MS)),
    opsIdleMs: read('OPS_IDLE', duration(1000, 30 * 24 * HOUR_MS)),
    issuer: readIssuerSettings(reader, tenants),
    storeStrict: read('STORE_STRICT', oneOf(['0', '1'])) === '1',
  }
  // Keys may come from either variable, or from neither where authentication is off.
  const keyed = open || (keys?.length ?? 0) > 0
  const meant = new Set(tlsVariables(env))
  const missing = rows.flatMap(({ name, near }) =>
    value(name) !== undefined ||
    (keyed && name.startsWith('API_KEYS')) ||
    (near !== undefined && !meant.has(name))
      ? []
      : [name],
  )
  problems.push(...nearMisses(missing))
  if (problems.length > 0 || !keys || !tenants || !clients) {
    throw configInvalid(`The settings of the ${kind} are unusable`, problems)
  }
  return Object.freeze({
    ...settings,
    apiKeys: open ? 'open' : createKeyRing(keys),
    tenants,
    clients,
  })
}
