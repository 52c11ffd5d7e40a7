import { expect } from 'chai'
import { createHash, randomBytes } from 'node:crypto'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { parseClients } from '../../shared/config/clients.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { createRedis } from '../../shared/store/redis.ts'
import type { RedisClient } from '../../shared/store/store.ts'
import { basicOf, oauthSystem, postForm, secrets, type OAuthSystem } from '../support/oauth.ts'
import { dumpOf, scriptsDuring as scriptsOf } from '../support/seen-by-redis.ts'
import { call, type Answer } from '../support/system.ts'

const web = basicOf('web', secrets.web)
const all = basicOf('all', secrets.all)
const api = basicOf('api', secrets.api)

const NO_REFRESH_TOKEN = `kr1.${'A'.repeat(22)}.1.${'A'.repeat(43)}`

describe('What the calls of OAuth give away', function () {
  this.timeout(120_000)
  const kek = randomBytes(32).toString('hex')
  let system: OAuthSystem
  let notifier: KnellProcess
  let redis: RedisClient

  before(async () => {
    system = oauthSystem({ LOG_LEVEL: 'trace', SHARDS: '1', KEY_ENCRYPTION_KEY: kek })
    notifier = await system.start('notifier')
    redis = createRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    // The first call of a script loads it, which is seen as something else.
    for (const token of ['x', NO_REFRESH_TOKEN]) {
      await introspect(token)
      await revoke(token)
    }
    await revoke((await login()).refresh)
  })
  after(async () => {
    redis?.disconnect()
    await system?.stop()
  })

  const scriptsDuring = (work: () => Promise<unknown>) =>
    scriptsOf(redis, String(system.env['REDIS_URL']), work)

  interface Session {
    readonly access: string
    readonly refresh: string
  }
  const login = async (more: object = {}): Promise<Session> => {
    const grant = { sub: 'alice', client_id: 'web', aud: 'https://api.example', ...more }
    const { status, body } = await call(notifier, system.apiKey, '/v1/sessions', grant)
    expect(status, JSON.stringify(body)).to.equal(201)
    return { access: String(body['access_token']), refresh: String(body['refresh_token']) }
  }
  const introspect = (token: string, headers: object = all) =>
    postForm(notifier, '/oauth/introspect', { token }, { ...headers })
  const revoke = (token: string, headers: object = web) =>
    postForm(notifier, '/oauth/revoke', { token }, { ...headers })
  const tampered = (token: string): string => {
    const at = token.lastIndexOf('.') + 5
    return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
  }

  it('is no token, secret or key, in the store, the log, the metrics, the audit trail or an error', async () => {
    const headers = [web, all, api].map(({ authorization }) => authorization.slice(6))
    const hidden: string[] = [kek, system.apiKey, ...Object.values(secrets), ...headers]
    const answers: string[] = []
    const note = ({ body }: Answer): void => void answers.push(JSON.stringify(body))
    for (let i = 0; i < 3; i++) {
      const { access, refresh } = await login()
      hidden.push(access, refresh)
      const grant = { grant_type: 'refresh_token', refresh_token: refresh }
      const next = (await postForm(notifier, '/oauth/token', grant, web)).body
      hidden.push(String(next['access_token']), String(next['refresh_token']))
      for (const token of [access, refresh, tampered(access), tampered(refresh)]) {
        note(await introspect(token))
        note(await revoke(token, api))
        note(await revoke(token, i === 0 ? all : web))
        note(
          await postForm(notifier, '/oauth/introspect', {
            token,
            client_id: 'api',
            client_secret: secrets.api,
          }),
        )
        // In places where neither belongs.
        note(
          await postForm(
            notifier,
            `/oauth/revoke?token=${token}&client_secret=${secrets.all}`,
            {},
            web,
          ),
        )
        note(
          await postForm(notifier, '/oauth/revoke', {
            client_id: token,
            client_secret: secrets.all,
          }),
        )
        note(
          await postForm(notifier, '/oauth/revoke', {
            [token]: 'x',
            token,
            client_id: secrets.all,
          }),
        )
        note(await postForm(notifier, '/oauth/revoke', `token=${token}&token=${secrets.all}`, web))
        note(
          await postForm(
            notifier,
            '/oauth/token',
            { ...grant, grant_type: token, scope: token },
            web,
          ),
        )
        note(await postForm(notifier, `/oauth/${token}`, { token }, web))
        note(await introspect(token, basicOf(token, secrets.all)))
        note(await introspect(token, { authorization: `Bearer ${token}` }))
      }
    }
    const metrics = await fetch(`${notifier.url}/metrics`, {
      headers: { authorization: `Bearer ${system.apiKey}`, connection: 'close' },
    })
    const places: Record<string, string> = {
      store: await dumpOf(redis, system.namespace),
      log: notifier.output.join('\n'),
      metrics: await metrics.text(),
      audit: JSON.stringify((await call(notifier, system.apiKey, '/v1/audit?limit=1000')).body),
      answers: answers.join('\n'),
    }
    for (const [place, text] of Object.entries(places)) {
      expect(text.length, place).to.be.greaterThan(500)
      for (const secret of hidden) {
        for (const form of formsOf(secret)) {
          expect(text.includes(form), `${place} holds ${form.slice(0, 12)}…`).to.equal(false)
        }
      }
      expect(text, place).not.to.match(/BEGIN [A-Z ]*PRIVATE KEY|"d":"/)
      expect(place === 'log' ? '' : text, place).not.to.match(/\.(?:ts|js):\d+:\d+/)
    }
    expect(places['store']).to.include('alice')
  })

  it('is not by what the store is asked whether a token is known, whose it is, or whether it lives', async () => {
    const [live, dead, foreign] = [await login(), await login(), await login({ aud: 'elsewhere' })]
    await revoke(dead.access)
    const tokens: Record<string, string> = {
      live: live.access,
      revoked: dead.access,
      'for another audience': foreign.access,
      'of another client': (await login({ client_id: 'app' })).access,
      tampered: tampered(live.access),
      random: `${randomBytes(90).toString('base64url')}.${randomBytes(200).toString('base64url')}.x`,
      short: 'x',
    }
    const counts: Record<string, string> = {}
    for (const [what, token] of Object.entries(tokens)) {
      const seen = await scriptsDuring(() => introspect(token, api))
      counts[what] = JSON.stringify(seen)
      expect(seen, what).to.have.property('getRules')
    }
    expect(new Set(Object.values(counts)).size, JSON.stringify(counts)).to.equal(1)
  })

  it('is not by what the store is asked at a revocation either, by whoever it was not for', async () => {
    const own = await login()
    const tokens: Record<string, string> = {
      'of another client': (await login({ client_id: 'app' })).access,
      tampered: tampered(own.access),
      short: 'x',
      own: own.access,
    }
    const counts: Record<string, string> = {}
    for (const [what, token] of Object.entries(tokens)) {
      counts[what] = JSON.stringify(await scriptsDuring(() => revoke(token)))
    }
    expect(new Set(Object.values(counts)).size, JSON.stringify(counts)).to.equal(1)
    const [theirs, forged] = [await login({ client_id: 'app' }), tampered(own.refresh)]
    const sessions: string[] = []
    for (const token of [theirs.refresh, forged, NO_REFRESH_TOKEN]) {
      sessions.push(JSON.stringify(await scriptsDuring(() => revoke(token))))
    }
    expect(new Set(sessions).size, sessions.join()).to.equal(1)
    expect((await introspect(theirs.access)).body['active']).to.equal(true)
  })

  it('is not by how long an answer takes whether a token is known', async () => {
    const [live, dead, foreign] = [await login(), await login(), await login({ aud: 'elsewhere' })]
    await revoke(dead.access)
    const asks: Record<string, () => Promise<unknown>> = {
      revoked: () => introspect(dead.access, api),
      foreign: () => introspect(foreign.access, api),
      tampered: () => introspect(tampered(live.access), api),
      random: () => introspect(randomBytes(300).toString('base64url'), api),
      'revoke foreign': () => revoke(foreign.access, api),
      'revoke tampered': () => revoke(tampered(foreign.access), api),
    }
    const { medians, text } = await race(asks, 120)
    const groups = [
      ['revoked', 'foreign', 'tampered', 'random'],
      ['revoke foreign', 'revoke tampered'],
    ]
    for (const group of groups) {
      const times = group.map((name) => medians[name] ?? NaN)
      expect(Math.max(...times) / Math.min(...times), text).to.be.lessThan(2.5)
    }
  })

  it('is not by how long it takes whether a client is known, public, or has another secret', async () => {
    const ring = parseClients({
      known: { secret: secrets.web },
      hashed: { secret: `sha256.${createHash('sha256').update(secrets.api).digest('hex')}` },
      open: {},
    })
    const many = (id: string, secret: string) => () => {
      for (let i = 0; i < 500; i++) ring.authenticate(id, secret)
    }
    const wrong = 'x'.repeat(secrets.web.length)
    const nearly = `${secrets.web.slice(0, -1)}x`
    const asks = {
      right: many('known', secrets.web),
      wrong: many('known', wrong),
      nearly: many('known', nearly),
      hashed: many('hashed', wrong),
      public: many('open', wrong),
      unknown: many('nobody', wrong),
    }
    const { medians, text } = await race(asks, 150)
    const times = Object.values(medians)
    expect(Math.max(...times) / Math.min(...times), text).to.be.lessThan(2)
  })
})

/** The ways in which a secret might be written down: as it is, and its parts where it is a token. */
function formsOf(secret: string): string[] {
  const parts = secret.split('.')
  const isToken = secret.startsWith('eyJ') || secret.startsWith('kr1.')
  const own = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    btoa(secret),
  ]
  // The header of a token is the same for many; what proves it is its end.
  return isToken ? [secret, parts.at(-1) ?? secret] : own
}

/** Times each of several things, in turn, so that whatever else the machine does befalls all of them alike. */
async function race(
  asks: Readonly<Record<string, () => unknown>>,
  rounds: number,
): Promise<{ medians: Record<string, number>; text: string }> {
  const times = new Map(Object.keys(asks).map((name) => [name, [] as number[]]))
  for (let round = -10; round < rounds; round++) {
    for (const [name, ask] of Object.entries(asks)) {
      const from = performance.now()
      await ask()
      if (round >= 0) times.get(name)?.push(performance.now() - from)
    }
  }
  const medians = Object.fromEntries(
    [...times].map(([name, list]) => [name, list.sort((a, b) => a - b)[rounds >> 1] ?? NaN]),
  )
  const text = Object.entries(medians)
    .map(([name, ms]) => `${name} ${ms.toFixed(3)} ms`)
    .join(', ')
  return { medians, text }
}
