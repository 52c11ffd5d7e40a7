import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import {
  loadSettings,
  settingsTable,
  type Env,
  type Settings,
} from '../../../shared/config/settings.ts'
import { problems, refusal } from '../tokens/keys.ts'

const SECRET = 'correct-horse-battery'
const ENV: Env = {
  AMQP_URL: 'amqp://localhost',
  REDIS_URL: 'redis://localhost',
  API_KEYS: `admin=${SECRET}:*`,
}
const KEYLESS: Env = { ...ENV, API_KEYS: undefined }
const load = (env: Env = {}): Settings => loadSettings({ ...ENV, ...env }, 'notifier')
const problemsIn = (env: Env): string[] => problems(() => load(env))

describe('settings', () => {
  it('have the defaults of the table', () => {
    const { redis, apiKeys, tenants, clients, ...settings } = load()
    expect(settings).to.deep.equal({
      kind: 'notifier',
      amqpUrl: 'amqp://localhost',
      management: undefined,
      prometheus: undefined,
      host: '127.0.0.1',
      port: 7070,
      apiKeysFile: undefined,
      clientsFile: undefined,
      eventSigningKeys: [],
      shards: 4,
      beatMs: 2000,
      sweepCron: '*/15 * * * * *',
      sweepGraceMs: 5000,
      feedRetentionMs: 86_400_000,
      issuer: undefined,
      auditDays: 90,
      auditMax: 100_000,
      trustProxy: [],
      backlogMax: 10_000,
      logLevel: 'info',
      namespace: 'knell',
      isOpsOn: true,
      opsSessionMs: 28_800_000,
      opsIdleMs: 3_600_000,
      storeStrict: false,
    })
    expect(redis.kind).to.equal('single')
    expect(apiKeys === 'open' ? 'open' : apiKeys.authenticate(SECRET)?.name).to.equal('admin')
    expect([...tenants.keys()]).to.deep.equal(['default'])
    expect(clients.clients).to.deep.equal([])
    expect(loadSettings(ENV, 'poller').port).to.equal(7071)
  })

  it('read every variable of the table and no other', () => {
    const asked = new Set<string>()
    const env = new Proxy<Record<string, string | undefined>>(
      { ...ENV },
      {
        get(target, name) {
          asked.add(String(name))
          return target[String(name)]
        },
      },
    )
    loadSettings(env, 'notifier')
    loadSettings(env, 'poller')
    expect([...asked].sort()).to.deep.equal(
      [...new Set(settingsTable.map((row) => row.name))].sort(),
    )
  })

  it('take every default of the table as if it had been set', () => {
    for (const kind of ['notifier', 'poller'] as const) {
      const rows = settingsTable.filter((row) => row.kinds.includes(kind))
      const given = Object.fromEntries(rows.map((row) => [row.name, row.default]))
      const set = loadSettings({ ...given, ...ENV }, kind)
      const { apiKeys, clients: _, ...rest } = loadSettings(ENV, kind)
      expect(set).to.deep.include(rest)
      expect(apiKeys).not.to.equal('open')
    }
  })

  it('are what the variables say', () => {
    const settings = load({
      AMQP_URL: 'amqps://u:p@rabbit:5671/vhost?heartbeat=10',
      REDIS_URL: 'redis+sentinel://h1,h2/main',
      HOST: '::',
      PORT: '0',
      TENANTS_FILE: '',
      ISSUER: 'https://issuer.example',
      MAX_TOKEN_TTL: '1h',
      SHARDS: '64',
      BEAT: '100ms',
      SWEEP_CRON: '*/5 * * * *',
      SWEEP_GRACE: '0s',
      FEED_RETENTION: '1s',
      BACKLOG_MAX: '1',
      LOG_LEVEL: 'silent',
      NAMESPACE: 'k-2',
      STORE_STRICT: '1',
    })
    expect(settings).to.include({ host: '::', port: 0, shards: 64, beatMs: 100, sweepGraceMs: 0 })
    expect(settings).to.include({ logLevel: 'silent', namespace: 'k-2', storeStrict: true })
    expect(settings.redis.kind).to.equal('sentinel')
    expect(settings.tenants.get('default')?.maxTokenTtlSeconds).to.equal(3600)
  })

  it('are frozen', () => {
    expect(load()).to.be.frozen
    expect(load().redis).to.be.frozen
    expect(load().tenants.get('default')).to.be.frozen
  })

  it('take an empty variable for an absent one, and white space around a value for nothing', () => {
    expect(load({ PORT: '', SHARDS: ' ', LOG_LEVEL: ' warn ' })).to.include({
      port: 7070,
      shards: 4,
      logLevel: 'warn',
    })
    expect(problemsIn({ AMQP_URL: '' })).to.have.length(1)
  })

  it('hold each value to its bounds', () => {
    const bad: Readonly<Record<string, readonly string[]>> = {
      AMQP_URL: ['http://h', 'amqp:h', 'amqp://', 'rabbit', 'amqp://h:99999'],
      REDIS_URL: ['http://h', 'localhost:6379', 'redis://'],
      HOST: ['http://h', 'a b', '[::1]', 'h/x'],
      PORT: ['-1', '65536', '70.5', 'http', '0x50', '1e3', '7070 7071'],
      SHARDS: ['0', '65', '4.0', 'four'],
      BEAT: ['99ms', '61s', '2', '0s'],
      SWEEP_CRON: ['nope', '* * * *', '61 * * * * *', '15s'],
      SWEEP_GRACE: ['5', '61m'],
      FEED_RETENTION: ['999ms', '367d', '24'],
      BACKLOG_MAX: ['0', '10000001', 'many'],
      LOG_LEVEL: ['INFO', 'verbose', '30'],
      NAMESPACE: ['Knell', '1k', 'k.x', 'k'.repeat(21), 'k_x'],
      STORE_STRICT: ['2', 'yes', 'true'],
      MAX_TOKEN_TTL: ['0s', '3600'],
      ISSUER_SKEW: ['61s', '5'],
      EXPIRING_LEAD: ['60', '0s', ',', '60s,', '1s,2s,3s,4s,5s,6s,7s,8s,9s'],
      MAX_TOKENS: ['0', '1000000000', '1e6', '-5', 'many'],
    }
    for (const [name, values] of Object.entries(bad)) {
      for (const value of values) {
        const found = problemsIn({ [name]: value })
        expect(found, `${name}=${value}`).to.have.length(1)
        expect(found[0]?.startsWith(`${name}: `), found[0]).to.equal(true)
      }
    }
  })

  it('are refused with every problem in one message: name, expected and found', () => {
    const error = refusal('config_invalid', () =>
      loadSettings({ REDIS_UL: 'redis://h', SHARDS: 'many', PORT: '-1', BEAT: '5' }, 'poller'),
    )
    expect(error.message.split('\n')).to.deep.equal([
      'The settings of the poller are unusable:',
      '- AMQP_URL: expected amqp:// or amqps:// with a host, found nothing',
      '- REDIS_URL: expected redis:// or rediss://, a comma-separated list of them (a cluster), or redis+sentinel://h1,h2/<master>/<db>, found nothing',
      '- PORT: expected a whole number from 0 (any free port) to 65535, found "-1"',
      '- API_KEYS: expected a key here or in API_KEYS_FILE, found none; to try Knell out without, start it with --dev',
      '- SHARDS: expected a whole number from 1 to 64, found "many"',
      '- BEAT: expected a duration from 100ms to 60s, found "5": "5" has no unit; write for example 500ms, 5s, 15m, 24h or 30d.',
      '- REDIS_UL: no such setting; did you mean REDIS_URL? If another program uses it, set REDIS_URL too',
    ])
  })

  it('show no secret and no credentials of a URL', () => {
    const mark = 'hunter2'
    const { message } = refusal('config_invalid', () =>
      load({
        AMQP_URL: `amqp://user:${mark}@h:99999/?key=${mark}`,
        REDIS_URL: `redis://:${mark}/${mark}@h1,rediss://:${mark}@h2/1`,
        API_KEYS: `${mark} a=${mark}:*`,
        JWT_KEYS: mark,
      }),
    )
    expect(message).not.to.contain(mark)
    expect(message).to.contain('"amqp://***@h:99999/?***"').and.to.contain('"redis://***@h2/1"')
    for (const name of ['AMQP_URL', 'REDIS_URL', 'JWT_KEYS', 'API_KEYS', 'TENANTS_FILE']) {
      const value = name === 'TENANTS_FILE' ? `{"a":"${mark}"}` : mark
      const found = problemsIn({ [name]: value })
      expect(found, name).to.have.length(1)
      expect(found[0], name).not.to.contain(mark)
    }
  })

  describe('near misses', () => {
    it('count only where the known name is not set', () => {
      expect(problemsIn({ LOG_LEVLE: 'debug' })[0]).to.contain('did you mean LOG_LEVEL?')
      expect(problemsIn({ log_level: 'debug' })[0]).to.contain('did you mean LOG_LEVEL?')
      expect(load({ LOG_LEVLE: 'debug', LOG_LEVEL: 'info' }).logLevel).to.equal('info')
    })

    it('are no unrelated variables', () => {
      const env = {
        HOME: '/root',
        POST: '1',
        PATH: '/',
        REDIS_PORT: 'tcp://h',
        LANG: 'C',
        PWD: '/',
      }
      expect(load(env).port).to.equal(7070)
    })

    it('of API_KEYS count only where there is no key', () => {
      expect(load({ API_KEY: 'of another program' }).kind).to.equal('notifier')
      const keyless = { ...KEYLESS, API_KEY: `a=${SECRET}:*` }
      expect(loadSettings(keyless, 'notifier', { dev: true }).apiKeys).to.equal('open')
      const found = problems(() => loadSettings(keyless, 'notifier'))
      expect(found.at(-1)).to.contain('did you mean API_KEYS?')
    })
  })

  describe('without an API key', () => {
    it('are refused', () => {
      const found = problems(() => loadSettings(KEYLESS, 'notifier'))
      expect(found).to.have.length(1)
      expect(found[0]).to.contain('--dev')
    })

    it('are open with --dev on a loopback address', () => {
      for (const HOST of [undefined, '127.0.0.1', '127.8.8.8', '::1', 'localhost']) {
        const settings = loadSettings({ ...KEYLESS, HOST }, 'notifier', { dev: true })
        expect(settings.apiKeys).to.equal('open')
      }
    })

    it('are refused with --dev on any other address', () => {
      for (const HOST of [
        '0.0.0.0',
        '::',
        '10.0.0.1',
        'localhost.example.com',
        '127.0.0.1.nip.io',
      ]) {
        const dev = (): unknown => loadSettings({ ...KEYLESS, HOST }, 'notifier', { dev: true })
        expect(problems(dev)[0]).to.contain('loopback')
      }
    })

    it('are not open where a key is given, with --dev or not', () => {
      expect(loadSettings(ENV, 'notifier', { dev: true }).apiKeys).not.to.equal('open')
      const broken = { ...ENV, API_KEYS: 'a=short:*' }
      const found = problems(() => loadSettings(broken, 'notifier', { dev: true }))
      expect(found).to.have.length(1)
      expect(found[0]).to.match(/^API_KEYS: key "a"/)
    })
  })

  describe('with a file of API keys', () => {
    let folder = ''
    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'knell-settings-'))
    })
    after(() => rmSync(folder, { recursive: true }))

    function fileOf(text: string): string {
      const path = join(folder, 'keys')
      writeFileSync(path, text)
      return path
    }

    it('know the keys of both', () => {
      const { apiKeys, apiKeysFile } = load({
        API_KEYS_FILE: fileOf(`b=${SECRET}2:ops:read # b\n`),
      })
      expect(apiKeysFile).to.equal(join(folder, 'keys'))
      const names = apiKeys === 'open' ? [] : apiKeys.keys.map((key) => key.name)
      expect(names).to.deep.equal(['admin', 'b'])
    })

    it('are refused where it is absent, wrong or repeats a key', () => {
      const missing = problemsIn({ API_KEYS_FILE: join(folder, 'gone') })
      expect(missing[0]).to.contain('gone').and.to.contain('ENOENT')
      expect(problemsIn({ API_KEYS_FILE: fileOf('x') })[0]).to.match(/^API_KEYS_FILE: .*key 1 must/)
      const twice = problemsIn({ API_KEYS_FILE: fileOf(`admin=${SECRET}2:*`) })
      expect(twice).to.deep.equal(['API_KEYS, API_KEYS_FILE: key "admin" is there twice'])
      const misplaced = problemsIn({ API_KEYS_FILE: `b=${SECRET}2:*` })
      expect(misplaced[0]).not.to.contain(SECRET)
    })

    it('are beside OAuth clients, each of a tenant that is declared', () => {
      const { clients } = load({ CLIENTS_FILE: fileOf(`{"app":{"secret":"${SECRET}"}}`) })
      expect(clients.authenticate('app', SECRET)?.tenant).to.equal('default')
      const [problem] = problemsIn({ CLIENTS_FILE: fileOf('{"app":{"tenant":"nowhere"}}') })
      expect(problem).to.match(
        /^CLIENTS_FILE: .*client "app" needs in "tenant" one that is declared/,
      )
    })

    it('are refused where it holds none and there is no other', () => {
      const empty = { ...KEYLESS, API_KEYS_FILE: fileOf('# none yet\n') }
      expect(problems(() => loadSettings(empty, 'notifier'))[0]).to.match(/^API_KEYS: /)
    })
  })
})
