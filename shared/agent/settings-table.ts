import type { SettingRow } from '../config/settings-table.ts'

/** One variable of `knell agent`, and its option on the command line, where it has one. */
export interface AgentSettingRow extends Omit<SettingRow, 'kinds'> {
  /** Secrets have none: whoever runs `ps` would see them. */
  readonly flag?: string
}

/** Every variable that `knell agent` reads, and no other. docs/agent.md is compared with it. */
export const agentSettingsTable: readonly AgentSettingRow[] = [
  { name: 'AMQP_URL', default: undefined, expects: 'amqp:// or amqps:// with a host' },
  {
    name: 'KNELL_URL',
    flag: '--url',
    default: undefined,
    expects: 'URLs of notifiers and pollers, parted by commas: all https://, or all http://',
  },
  {
    name: 'KNELL_API_KEY',
    default: undefined,
    expects: 'the secret of an API key with the scope feed:read, here or in KNELL_API_KEY_FILE',
    secret: true,
  },
  {
    name: 'KNELL_API_KEY_FILE',
    flag: '--key-file',
    default: undefined,
    expects: 'the path of a file with that secret',
  },
  {
    name: 'SERVICE',
    flag: '--service',
    default: undefined,
    expects: '1 to 40 of a-z, 0-9 and -: the service that it decides for',
  },
  {
    name: 'LISTEN',
    flag: '--listen',
    default: '127.0.0.1:7072',
    expects: 'host:port, or unix:/path of a socket',
  },
  {
    name: 'LISTEN_MODE',
    flag: '--listen-mode',
    default: '0660',
    expects: 'the mode of the socket, octal, such as 0600 or 0660',
  },
  {
    name: 'ALLOW_REMOTE',
    flag: '--allow-remote',
    default: '0',
    expects: '0 or 1: whether LISTEN may name what others can reach',
  },
  {
    name: 'TENANTS',
    flag: '--tenants',
    default: undefined,
    expects: 'names of tenants, parted by commas; without it those of TENANTS_FILE, else default',
  },
  {
    name: 'ISSUER',
    flag: '--issuer',
    default: undefined,
    expects: 'the exact "iss" of the tokens',
  },
  {
    name: 'JWT_KEYS',
    flag: '--jwt-keys',
    default: undefined,
    expects: 'a JWK set as JSON, or the path of a file with one',
    secret: true,
  },
  {
    name: 'JWKS_URI',
    flag: '--jwks-uri',
    default: undefined,
    expects: 'an https:// URL without credentials (http:// only of this machine)',
  },
  {
    name: 'TENANTS_FILE',
    flag: '--tenants-file',
    default: undefined,
    expects: 'the path of a JSON file that declares the tenants, instead of ISSUER and keys',
  },
  {
    name: 'AUDIENCE',
    flag: '--audience',
    default: undefined,
    expects:
      'values parted by commas, of which "aud" must hold one; without it "aud" is not looked at',
  },
  {
    name: 'MAX_STALENESS',
    flag: '--max-staleness',
    default: '60s',
    expects: 'a duration from 100ms to 24h',
  },
  {
    name: 'WHEN_STALE',
    flag: '--when-stale',
    default: 'reject',
    expects: 'reject, allow or ask',
  },
  {
    name: 'EVENT_KEYS',
    flag: '--event-keys',
    default: undefined,
    expects: 'a JWK set with the public keys that Knell signs with, or the path of a file with one',
  },
  { name: 'REALM', flag: '--realm', default: 'api', expects: '1 to 100 of printable ASCII' },
  {
    name: 'EXPOSE_REASON',
    flag: '--expose-reason',
    default: '0',
    expects: '0 or 1: whether a client is told why its token was refused',
  },
  {
    name: 'AMQP_CA',
    default: undefined,
    expects: 'certificates in PEM, or the path of a file with them',
  },
  {
    name: 'AMQP_CERT',
    default: undefined,
    expects: 'certificates in PEM, or the path of a file with them',
  },
  {
    name: 'AMQP_KEY',
    default: undefined,
    expects: 'the private key of AMQP_CERT in PEM, or the path of a file with it',
    secret: true,
  },
  {
    name: 'KNELL_CA',
    default: undefined,
    expects: 'certificates in PEM, or the path of a file with them',
  },
  {
    name: 'KNELL_CERT',
    default: undefined,
    expects: 'certificates in PEM, or the path of a file with them',
  },
  {
    name: 'KNELL_KEY',
    default: undefined,
    expects: 'the private key of KNELL_CERT in PEM, or the path of a file with it',
    secret: true,
  },
  {
    name: 'NAMESPACE',
    flag: '--namespace',
    default: 'knell',
    expects: '1 to 20 of a-z, 0-9 and -, a letter first',
  },
  {
    name: 'LOG_LEVEL',
    flag: '--log-level',
    default: 'info',
    expects: 'fatal, error, warn, info, debug, trace or silent',
  },
]
