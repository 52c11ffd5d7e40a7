import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isLocal, parseAddress } from '../../../shared/agent/address.ts'
import { loadAgentSettings } from '../../../shared/agent/agent-settings.ts'
import { parseDemand } from '../../../shared/agent/demand.ts'
import { agentSettingsTable } from '../../../shared/agent/settings-table.ts'
import { loadApiKeys, parseApiKeys } from '../../../shared/config/api-keys.ts'
import { loadClients, parseClients } from '../../../shared/config/clients.ts'
import { parseDuration } from '../../../shared/config/duration.ts'
import { parseKeyEncryptionKeys } from '../../../shared/config/issuer-settings.ts'
import { parseManagementUrl, parsePrometheusUrl } from '../../../shared/config/rabbit-urls.ts'
import { parseRedisUrl } from '../../../shared/config/redis-url.ts'
import { loadSettings } from '../../../shared/config/settings.ts'
import { settingsTable } from '../../../shared/config/settings-table.ts'
import {
  parseIssuerSkew,
  parseLeads,
  parseMaxTokens,
  parseMaxTokenTtl,
} from '../../../shared/config/tenant-settings.ts'
import { loadTenants } from '../../../shared/config/tenants.ts'
import { loadTls } from '../../../shared/config/tls-settings.ts'
import { parsePosition } from '../../../shared/domain/position.ts'
import { parseJwksUri } from '../../../shared/tokens/jwks-uri.ts'
import { readTrace, traceHeaders } from '../../../shared/tracing/trace-text.ts'
import { parseForm } from '../../../notifier/issuer/oauth-form.ts'
import { readSamples } from '../../../shared/queues/samples.ts'
import { isRotationDue } from '../../../poller/ring-keeper.ts'
import type { ParserCase } from './messages.ts'

const CONFIG = ['config_invalid'] as const
/** A variable of an environment can hold no NUL, and its text is UTF-8. */
const textOf = (bytes: Buffer): string => bytes.toString('utf8').replaceAll('\0', '')

function text(
  name: string,
  corpus: readonly string[],
  parse: (text: string) => unknown,
  codes: ParserCase['codes'] = CONFIG,
): ParserCase {
  return { name, corpus, parse: (bytes) => parse(textOf(bytes)), codes }
}

/** Lends a file with these bytes. */
function withFile<T>(bytes: Uint8Array, use: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'knell-fuzz-'))
  try {
    const path = join(folder, 'file')
    writeFileSync(path, bytes, { mode: 0o600 })
    return use(path)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const keys = [
  'app=secret-0123456789:tokens:write+feed:read@default+other',
  `ops=sha256.${'0'.repeat(64)}:* # a comment`,
]
const clients =
  '{"web":{"secret":"secret-0123456789","tenant":"default","audiences":["a"],"introspect":true},"app":{}}'
const tenants =
  '{"default":{"issuer":"https://a.example","jwksUri":"https://a.example/keys","maxTokenTtl":"24h","expiringLead":["5m"],"issuerSkew":"5s","maxTokens":5},"other":{"issuer":"b","keys":[{"secret":"0123456789012345678901234567890123"}]}}'
const redisUrls = [
  'redis://user:pa%20ss@host:6379/2',
  'rediss://a:1,rediss://b:2',
  'redis+sentinel://:p@h1:1,[::1]:2/main/3',
]
const base = {
  AMQP_URL: 'amqp://guest:guest@localhost',
  REDIS_URL: 'redis://localhost',
  API_KEYS: keys[0] ?? '',
}
/** What variables may hold, whichever they are. */
const values: readonly string[] = [
  '',
  ...keys,
  ...redisUrls,

  clients,
  tenants,
  '5s',
  '500ms',
  '24h',
  '0',
  '1',
  '7070',
  '127.0.0.1',
  '::1',
  'https://a.example',

  '*/5 * * * * *',
  '0 0 1 1 *',
  '0 0 30 2 *',
  '@yearly',
  '* * * * * * *',
  '1-5/2 L W # ?',
  '5m,1h',

  'info',
  'ES256',
  '10.0.0.0/8,::1',
  'a'.repeat(64),
  'unix:/tmp/x',
  'default,other',
  '__proto__',
  '-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----',
  '/dev/null',
  '.',
  '{',
  '[',
]

/** Sets one or two variables, called by the place of their names in the table. */
function envCase(
  name: string,
  names: readonly string[],
  start: Readonly<Record<string, string>>,
  load: (env: Record<string, string>) => unknown,
): ParserCase {
  return {
    name,
    corpus: values,
    parse(bytes) {
      const value = textOf(bytes)
      const [first = 0, second = 0] = [bytes[0], bytes.at(-1)]
      const env: Record<string, string> = { ...start }
      env[names[(first * 31 + bytes.length) % names.length] ?? ''] = value
      if (second % 3 === 0) env[names[(second * 7 + first) % names.length] ?? ''] = value
      return load(env)
    },
    codes: CONFIG,
  }
}

export const settingParsers: readonly ParserCase[] = [
  text('parseApiKeys', keys, parseApiKeys),
  {
    name: 'loadApiKeys',
    corpus: keys,
    parse: (bytes) => withFile(bytes, (path) => loadApiKeys({ API_KEYS_FILE: path })),
    codes: CONFIG,
  },
  text('parseClients', [clients], (json) => {
    let value: unknown = json
    try {
      value = JSON.parse(json)
    } catch {
      // A text is not what it wants, either.
    }
    const ring = parseClients(value)
    if (ring.authenticate('__proto__', 'secret') !== undefined) throw new Error('Nobody has it.')
    return ring.clients
  }),
  {
    name: 'loadClients',
    corpus: [clients],
    parse: (bytes) => withFile(bytes, (path) => loadClients(path, () => true).clients),
    codes: CONFIG,
  },
  {
    name: 'loadTenants',
    corpus: [tenants],
    parse: (bytes) => withFile(bytes, (path) => loadTenants({ TENANTS_FILE: path })),
    codes: CONFIG,
  },
  envCase('loadTls', ['AMQP_CA', 'TLS_CERT', 'TLS_KEY', 'TLS_CLIENT_CA', 'REDIS_CA'], {}, loadTls),
  envCase(
    'loadSettings',
    settingsTable.map(({ name }) => name),
    base,
    // Proxies and keys are objects of Node's own.
    (env) => loadSettings(env, 'notifier').shards,
  ),
  envCase(
    'loadAgentSettings',
    agentSettingsTable.map(({ name }) => name),
    { AMQP_URL: base.AMQP_URL, KNELL_URL: 'http://localhost', SERVICE: 'a', KNELL_API_KEY: 'k' },
    loadAgentSettings,
  ),
  text('parseDuration', ['5s', '500ms', '24h', '30d'], parseDuration),
  text('parseRedisUrl', redisUrls, parseRedisUrl),
  text('parseManagementUrl', ['http://u:p@host:15672/a?b#c'], (url) =>
    parseManagementUrl(url, base.AMQP_URL),
  ),
  text('parsePrometheusUrl', ['https://host:15692/metrics'], (url) =>
    parsePrometheusUrl(url, 'amqp://u:p@h/%2fv'),
  ),
  text('parseKeyEncryptionKeys', ['0'.repeat(64), `${'a'.repeat(43)} ${'f'.repeat(64)}`], (words) =>
    parseKeyEncryptionKeys(words),
  ),
  text('parseLeads', ['["5m","1h"]', '"5m"', '[]'], (json) => parseLeads(plain(json))),
  text('parseMaxTokenTtl', ['"24h"', '86400'], (json) => parseMaxTokenTtl(plain(json))),
  text('parseIssuerSkew', ['"5s"', '5'], (json) => parseIssuerSkew(plain(json))),
  text('parseMaxTokens', ['10000000'], (json) => parseMaxTokens(plain(json))),
  text('parseJwksUri', ['https://a.example/keys?x=1', 'http://127.0.0.1/k'], parseJwksUri),
  text('parseAddress', ['127.0.0.1:80', '[::1]:8080', 'unix:/tmp/x', 'name:1'], (address) => {
    const found = parseAddress(address)
    return found === undefined ? undefined : isLocal(found)
  }),
  text('parseDemand', ['scope=a%20b&tenant=default', 'scope=a&scope=b'], parseDemand, [
    'invalid_request',
  ]),
  text('parsePosition', ['1732212000000-18231', '0-0'], parsePosition, ['invalid_position']),
  text('parseForm', ['grant_type=refresh_token&refresh_token=x%20y&a+b=c', ''], parseForm, [
    'invalid_request',
  ]),
  text('isRotationDue', ['0 3 * * 1', '0 0 1 */3 *', '*/10 * * * * *', '0 0 30 2 *'], (cron) => {
    const env = { ...base, ISSUER_ENABLED: '1', ISSUER: 'https://a.example' }
    const keyed = { ...env, KEY_ENCRYPTION_KEY: '0'.repeat(64), KEY_ROTATION_CRON: cron }
    const { issuer } = loadSettings(keyed, 'poller')
    return isRotationDue(issuer?.rotationCron ?? '', 1_800_000_000, 1_800_600_000)
  }),
  text(
    'readSamples',
    ['a_b{x="1",y="\\"\\n"} 5 1395066363000\n# HELP a\nb 1e5\n', 'a{x="y"} NaN'],
    readSamples,
    [],
  ),
  {
    name: 'readTrace',
    corpus: ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'a=1,b=2'],
    parse(bytes) {
      const header = bytes.toString('latin1')
      const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
      const found = [
        readTrace({ traceparent: header }),
        readTrace({ traceparent: parent, tracestate: header }),
      ].map(traceHeaders)
      for (const text of found.flatMap((headers) => Object.values(headers))) {
        if (/[\r\n]/.test(text)) throw new Error('A header with a line end.')
      }
      return found
    },
    codes: [],
  },
]

function plain(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return json
  }
}
