import { DEFAULT_NAMESPACE } from '../domain/names.ts'
import {
  DEFAULT_ISSUER_SKEW,
  DEFAULT_MAX_TOKEN_TTL,
  DEFAULT_MAX_TOKENS,
} from './tenant-settings.ts'

export type ProcessKind = 'notifier' | 'poller'

/** One environment variable. */
export interface SettingRow {
  readonly name: string
  /** The processes that act on it. Both check it, so one environment can serve both. */
  readonly kinds: readonly ProcessKind[]
  /** What holds when it is absent or empty. Undefined: nothing does. */
  readonly default: string | undefined
  readonly expects: string
  /** Its value is never shown. */
  readonly secret?: true
  /** Variables of others are so near to its name (`REDIS_PORT` to `REDIS_CERT`) that a mistyped one may be off by one character only. */
  readonly near?: 1
}

const both: readonly ProcessKind[] = ['notifier', 'poller']

/** Every environment variable the two processes read, and no other. The docs are compared with it. */
export const settingsTable: readonly SettingRow[] = [
  {
    name: 'AMQP_URL',
    kinds: both,
    default: undefined,
    expects: 'amqp:// or amqps:// with a host',
  },
  {
    name: 'REDIS_URL',
    kinds: both,
    default: undefined,
    expects:
      'redis:// or rediss://, a comma-separated list of them (a cluster), or redis+sentinel://h1,h2/<master>/<db>',
  },
  {
    name: 'RABBITMQ_MANAGEMENT_URL',
    kinds: both,
    default: undefined,
    expects: 'http:// or https:// with a host',
  },
  {
    name: 'RABBITMQ_PROMETHEUS_URL',
    kinds: both,
    default: undefined,
    expects: 'http:// or https:// with a host',
  },
  {
    name: 'AMQP_CA',
    kinds: both,
    default: undefined,
    expects: 'certificates in PEM, or the path of a file with them',
    near: 1,
  },
  {
    name: 'AMQP_CERT',
    kinds: both,
    default: undefined,
    expects: 'certificates in PEM, or the path of a file with them',
    near: 1,
  },
  {
    name: 'AMQP_KEY',
    kinds: both,
    default: undefined,
    expects: 'the private key of AMQP_CERT in PEM, or the path of a file with it',
    secret: true,
    near: 1,
  },
  {
    name: 'REDIS_CA',
    kinds: both,
    default: undefined,
    expects: 'certificates in PEM, or the path of a file with them',
    near: 1,
  },
  {
    name: 'REDIS_CERT',
    kinds: both,
    default: undefined,
    expects: 'certificates in PEM, or the path of a file with them',
    near: 1,
  },
  {
    name: 'REDIS_KEY',
    kinds: both,
    default: undefined,
    expects: 'the private key of REDIS_CERT in PEM, or the path of a file with it',
    secret: true,
    near: 1,
  },
  {
    name: 'TLS_CERT',
    kinds: both,
    default: undefined,
    expects: 'certificates in PEM, or the path of a file with them',
    near: 1,
  },
  {
    name: 'TLS_KEY',
    kinds: both,
    default: undefined,
    expects: 'the private key of TLS_CERT in PEM, or the path of a file with it',
    secret: true,
    near: 1,
  },
  {
    name: 'TLS_CLIENT_CA',
    kinds: both,
    default: undefined,
    expects: 'certificates in PEM, or the path of a file with them',
    near: 1,
  },
  {
    name: 'HOST',
    kinds: both,
    default: '127.0.0.1',
    expects: 'a host name or an IP address to listen on',
  },
  {
    name: 'PORT',
    kinds: ['notifier'],
    default: '7070',
    expects: 'a whole number from 0 (any free port) to 65535',
  },
  {
    name: 'PORT',
    kinds: ['poller'],
    default: '7071',
    expects: 'a whole number from 0 (any free port) to 65535',
  },
  {
    name: 'API_KEYS',
    kinds: both,
    default: undefined,
    expects: 'name=secret:scope+scope, optionally @tenant+tenant at the end; several by spaces',
    secret: true,
  },
  {
    name: 'API_KEYS_FILE',
    kinds: both,
    default: undefined,
    expects: 'the path of a file with keys in the form of API_KEYS, # beginning a comment',
  },
  {
    name: 'TENANTS_FILE',
    kinds: both,
    default: undefined,
    expects: 'the path of a JSON file that declares the tenants',
  },
  {
    name: 'CLIENTS_FILE',
    kinds: ['notifier'],
    default: undefined,
    expects: 'the path of a JSON file that declares the OAuth clients',
  },
  {
    name: 'ISSUER',
    kinds: both,
    default: undefined,
    expects: 'the exact "iss" of the tokens of the tenant "default"',
  },
  {
    name: 'JWT_KEYS',
    kinds: both,
    default: undefined,
    expects: 'a JWK set as JSON, or the path of a file with one',
    secret: true,
  },
  {
    name: 'JWKS_URI',
    kinds: both,
    default: undefined,
    expects: 'an https:// URL without credentials (http:// only of this machine)',
  },
  {
    name: 'LOGOUT_AUDIENCE',
    kinds: ['notifier'],
    default: undefined,
    expects: 'client ids parted by commas, of which "aud" of a logout token must hold one',
  },
  {
    name: 'EVENT_SIGNING_KEYS',
    kinds: both,
    default: undefined,
    expects:
      'a JWK set with private EC keys on P-256 (ES256) as JSON, or the path of a file with one',
    secret: true,
  },
  {
    name: 'MAX_TOKEN_TTL',
    kinds: both,
    default: DEFAULT_MAX_TOKEN_TTL,
    expects: 'whole seconds from 1s to 366d',
  },
  {
    name: 'ISSUER_SKEW',
    kinds: both,
    default: DEFAULT_ISSUER_SKEW,
    expects: 'whole seconds from 0s to 60s',
  },
  {
    name: 'EXPIRING_LEAD',
    kinds: both,
    default: undefined,
    expects: 'at most 8 durations parted by commas, each whole seconds from 1s to 366d',
  },
  {
    name: 'MAX_TOKENS',
    kinds: both,
    default: `${DEFAULT_MAX_TOKENS}`,
    expects: 'a whole number from 1 to 999999999',
  },
  {
    name: 'SHARDS',
    kinds: both,
    default: '4',
    expects: 'a whole number from 1 to 64',
  },
  { name: 'BEAT', kinds: both, default: '2s', expects: 'a duration from 100ms to 60s' },
  {
    name: 'SWEEP_CRON',
    kinds: ['poller'],
    default: '*/15 * * * * *',
    expects: 'a cron expression of five fields, or six with seconds first (UTC)',
  },
  { name: 'SWEEP_GRACE', kinds: ['poller'], default: '5s', expects: 'a duration from 0s to 1h' },
  {
    name: 'FEED_RETENTION',
    kinds: ['poller'],
    default: '24h',
    expects: 'a duration from 1s to 366d',
  },
  {
    name: 'AUDIT_DAYS',
    kinds: both,
    default: '90',
    expects: 'a whole number of days from 0 (no audit trail) to 3660',
  },
  {
    name: 'AUDIT_MAX',
    kinds: ['poller'],
    default: '100000',
    expects: 'a whole number from 100 to 100000000',
  },
  {
    name: 'TRUST_PROXY',
    kinds: both,
    default: undefined,
    expects: 'IP addresses or networks such as 10.0.0.0/8, parted by commas',
  },
  {
    name: 'BACKLOG_MAX',
    kinds: both,
    default: '10000',
    expects: 'a whole number from 1 to 10000000',
  },
  {
    name: 'LOG_LEVEL',
    kinds: both,
    default: 'info',
    expects: 'fatal, error, warn, info, debug, trace or silent',
  },
  {
    name: 'NAMESPACE',
    kinds: both,
    default: DEFAULT_NAMESPACE,
    expects: '1 to 20 of a-z, 0-9 and -, a letter first',
  },
  { name: 'ISSUER_ENABLED', kinds: both, default: '0', expects: '0 or 1' },
  {
    name: 'KEY_ENCRYPTION_KEY',
    kinds: both,
    default: undefined,
    expects:
      'keys of 32 bytes in base64url or hexadecimal parted by spaces, or the path of a file with them',
    secret: true,
  },
  { name: 'ISSUER_ALG', kinds: both, default: 'ES256', expects: 'ES256, RS256 or HS256' },
  {
    name: 'ACCESS_TTL',
    kinds: ['notifier'],
    default: '5m',
    expects: 'whole seconds from 1s to 24h',
  },
  { name: 'REFRESH_TTL', kinds: both, default: '30d', expects: 'whole seconds from 1s to 366d' },
  {
    name: 'REFRESH_GRACE',
    kinds: ['notifier'],
    default: '10s',
    expects: 'a duration from 0s to 60s',
  },
  {
    name: 'KEY_ROTATION_CRON',
    kinds: ['poller'],
    default: '0 4 1 * *',
    expects: 'a cron expression of five fields, or six with seconds first (UTC)',
  },
  { name: 'STATEFUL', kinds: ['notifier'], default: '0', expects: '0 or 1' },
  { name: 'OPS', kinds: ['notifier'], default: '1', expects: '0 or 1' },
  { name: 'OPS_SESSION', kinds: ['notifier'], default: '8h', expects: 'a duration from 1s to 30d' },
  { name: 'OPS_IDLE', kinds: ['notifier'], default: '1h', expects: 'a duration from 1s to 30d' },
  { name: 'STORE_STRICT', kinds: both, default: '0', expects: '0 or 1' },
]
