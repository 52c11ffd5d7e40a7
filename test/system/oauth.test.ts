import { expect } from 'chai'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { openProxy } from '../../shared/testing/tcp-proxy.ts'
import { readUnverified } from '../../shared/tokens/read-unverified.ts'
import { eventually } from '../support/eventually.ts'
import { createIssuer } from '../support/issuer.ts'
import {
  basicOf,
  clients,
  ISSUER,
  OTHER_ISSUER,
  oauthSystem,
  postForm,
  secrets,
  type OAuthSystem,
} from '../support/oauth.ts'
import { call, now, type Answer } from '../support/system.ts'

const web = basicOf('web', secrets.web)
const api = basicOf('api', secrets.api)
const all = basicOf('all', secrets.all)

describe('Asking about tokens, and ending them', function () {
  this.timeout(60_000)
  let system: OAuthSystem
  let notifier: KnellProcess

  before(async () => {
    system = oauthSystem()
    notifier = await system.start('notifier', {
      API_KEYS: `test=${system.apiKey}:* reader=reader-secret-0123:feed:read@default writer=writer-secret-0123:tokens:write`,
    })
  })
  after(() => system?.stop())

  const login = async (more: object = {}): Promise<string> => {
    const grant = { sub: 'alice', client_id: 'web', aud: 'https://api.example', ...more }
    const { status, body } = await call(notifier, system.apiKey, '/v1/sessions', grant)
    expect(status, JSON.stringify(body)).to.equal(201)
    return String(body['access_token'])
  }
  const session = async (more: object = {}): Promise<{ access: string; refresh: string }> => {
    const grant = { sub: 'alice', client_id: 'web', aud: 'https://api.example', ...more }
    const { body } = await call(notifier, system.apiKey, '/v1/sessions', grant)
    return { access: String(body['access_token']), refresh: String(body['refresh_token']) }
  }
  const renew = (refresh: string, headers: object = web) =>
    postForm(
      notifier,
      '/oauth/token',
      { grant_type: 'refresh_token', refresh_token: refresh },
      { ...headers },
    )
  const introspect = (token: string, headers: object = all, more: object = {}) =>
    postForm(notifier, '/oauth/introspect', { token, ...more }, { ...headers })
  const isActive = async (token: string, headers: object = all): Promise<unknown> => {
    const { status, body } = await introspect(token, headers)
    expect(status, JSON.stringify(body)).to.equal(200)
    if (body['active'] !== true) expect(body).to.deep.equal({ active: false })
    return body['active']
  }
  const revoke = (token: string, headers: object = web, more: object = {}) =>
    postForm(notifier, '/oauth/revoke', { token, ...more }, { ...headers })
  const endWith = async (
    token: string,
    headers: object = web,
    more: object = {},
  ): Promise<void> => {
    const { status, text } = await revoke(token, headers, more)
    expect([status, text]).to.deep.equal([200, ''])
  }

  describe('POST /oauth/introspect', () => {
    it('says what a live token is, in the members of RFC 7662', async () => {
      const token = await login({
        scope: 'read write',
        claims: { username: 'Alice', roles: ['x'] },
      })
      const { claims } = readUnverified(token)
      for (const who of [api, all, { authorization: 'Bearer reader-secret-0123' }]) {
        const { status, body, headers } = await introspect(token, who)
        expect(status).to.equal(200)
        expect(headers.get('cache-control')).to.equal('no-store')
        expect(headers.get('content-type')).to.match(/^application\/json/)
        expect(body).to.deep.equal({
          active: true,
          token_type: 'Bearer',
          scope: 'read write',
          client_id: 'web',
          username: 'Alice',
          sub: 'alice',
          iss: ISSUER,
          aud: 'https://api.example',
          jti: claims['jti'],
          sid: claims['sid'],
          iat: claims['iat'],
          exp: claims['exp'],
        })
      }
    })

    it('says nothing of a token once it is revoked, by whatever match, and at once', async () => {
      const tokens = await Promise.all(['a', 'b', 'c'].map((sub) => login({ sub })))
      for (const token of tokens) expect(await isActive(token)).to.equal(true)
      const [first = '', second = '', third = ''] = tokens
      const matches = [
        { jti: readUnverified(first).claims['jti'] },
        { sid: readUnverified(second).claims['sid'] },
        { sub: 'c' },
      ]
      for (const match of matches) {
        const { status } = await call(notifier, system.apiKey, '/v1/revocations', { match })
        expect(status).to.equal(201)
      }
      for (const token of [first, second, third]) expect(await isActive(token)).to.equal(false)
    })

    it('says nothing of a token that is held, and all of it again once it is released', async () => {
      const token = await login({ sub: 'holly' })
      const match = { sub: 'holly' }
      const hold = { reviewBy: now() + 600, outcome: 'release' }
      await call(notifier, system.apiKey, '/v1/revocations', { match, hold })
      expect(await isActive(token)).to.equal(false)
      await call(notifier, system.apiKey, '/v1/revocations/release', { match })
      expect(await isActive(token)).to.equal(true)
    })

    it('says nothing of a token that has expired by the store’s clock', async () => {
      const token = await login({ expiresIn: 1 })
      await eventually(async () => (await isActive(token)) === false, {
        what: 'the token to expire',
      })
    })

    it('tells a client only of tokens for one of its audiences', async () => {
      const foreign = await login({ aud: 'https://elsewhere.example' })
      expect([await isActive(foreign, api), await isActive(foreign, all)]).to.deep.equal([
        false,
        true,
      ])
      const both = await login({ aud: ['https://elsewhere.example', 'https://api.example'] })
      expect(await isActive(both, api)).to.equal(true)
    })

    it('tells nobody of another tenant’s tokens', async () => {
      const token = await login({ tenant: 'other' })
      const foreign = basicOf('foreign', secrets.foreign)
      expect((await introspect(token, foreign)).body).to.include({
        active: true,
        iss: OTHER_ISSUER,
      })
      expect(await isActive(token, all)).to.equal(false)
      expect(await isActive(await login(), foreign)).to.equal(false)
      expect(await isActive(token, { authorization: 'Bearer reader-secret-0123' })).to.equal(false)
      expect(await isActive(token, { authorization: `Bearer ${system.apiKey}` })).to.equal(true)
    })

    it('is asked only by clients that may, and by keys with feed:read', async () => {
      const token = await login()
      const writer = { authorization: 'Bearer writer-secret-0123' }
      const stranger = { authorization: 'Bearer nobody-knows-this-one' }
      const cases: [object, object, number, string, RegExp | null][] = [
        [{}, {}, 401, 'invalid_client', /^Basic /],
        [{}, { client_id: 'app' }, 403, 'unauthorized_client', null],
        [web, {}, 403, 'unauthorized_client', null],
        [basicOf('api', 'wrong-secret-0123456'), {}, 401, 'invalid_client', /^Basic /],
        [stranger, {}, 401, 'invalid_token', /^Bearer .*error="invalid_token"/],
        [writer, {}, 403, 'insufficient_scope', /^Bearer .*error="insufficient_scope"/],
        [stranger, { client_id: 'all', client_secret: secrets.all }, 400, 'invalid_request', null],
      ]
      for (const [headers, more, status, error, challenge] of cases) {
        const answer = await introspect(token, headers, more)
        expect([answer.status, answer.body['error']]).to.deep.equal([status, error])
        const sent = answer.headers.get('www-authenticate')
        if (challenge === null) expect(sent).to.equal(null)
        else expect(sent).to.match(challenge)
      }
    })

    it('says of a refresh token what its session is, to its own client only, and rotates nothing', async () => {
      const own = { client_id: 'all', scope: 'a b', claims: { roles: ['x'] } }
      const { access, refresh } = await session(own)
      const { claims } = readUnverified(access)
      const { body } = await introspect(refresh, all)
      const { exp, iat, ...said } = body
      expect(said).to.deep.equal({
        active: true,
        client_id: 'all',
        scope: 'a b',
        sub: 'alice',
        sid: claims['sid'],
        iss: ISSUER,
        aud: 'https://api.example',
      })
      expect(Number(exp) - Number(iat)).to.equal(30 * 24 * 3600)
      for (const who of [api, { authorization: `Bearer ${system.apiKey}` }]) {
        expect(await isActive(refresh, who)).to.equal(false)
      }
      const renewed = await renew(refresh, all)
      expect(renewed.status).to.equal(200)
      const next = String(renewed.body['refresh_token'])
      expect(await isActive(next)).to.equal(true)
      expect(await isActive(`${next.slice(0, -2)}AA`)).to.equal(false)
      await call(notifier, system.apiKey, '/v1/revocations', { match: { sid: claims['sid'] } })
      expect(await isActive(next)).to.equal(false)
    })

    it('takes any token_type_hint, and needs a token', async () => {
      const token = await login()
      for (const hint of ['access_token', 'refresh_token', 'nonsense', '']) {
        const { body } = await introspect(token, all, { token_type_hint: hint })
        expect(body['active'], hint).to.equal(true)
      }
      const { status, body } = await postForm(notifier, '/oauth/introspect', {}, all)
      expect([status, body['error']]).to.deep.equal([400, 'invalid_request'])
    })
  })

  describe('POST /oauth/revoke', () => {
    it('has killed a client’s own token by the time it answers, and says who did it', async () => {
      const token = await login()
      const { jti } = readUnverified(token).claims
      const subscriber = await system.subscribe({ service: 'guard' })
      const { claims, header } = readUnverified(token)
      expect(subscriber.check(claims, header).active).to.equal(true)
      await endWith(token)
      expect(await isActive(token)).to.equal(false)
      await eventually(() => !subscriber.check(claims, header).active, { what: 'the push' })
      expect(subscriber.check(claims, header)).to.include({ code: 'revoked', reason: 'logout' })
      const path = `/v1/audit?client=web&action=revoke&jti=${String(jti)}&who=web`.replace(
        'client=web&',
        '',
      )
      const { body } = await call(notifier, system.apiKey, path)
      expect(body['audit']).to.have.length(1)
      expect((body['audit'] as object[])[0]).to.deep.include({
        who: { key: null, client: 'web' },
        match: { jti },
        reason: 'logout',
        tenant: 'default',
      })
      const rule = await call(notifier, system.apiKey, `/v1/revocations?jti=${String(jti)}`)
      const { until } = (rule.body as { rule: { until: number } }).rule
      expect(until, 'no longer than the token can live').to.equal(Number(claims['exp']) + 60)
    })

    it('takes the token of a public client from whoever names that client', async () => {
      const token = await login({ client_id: 'app' })
      await endWith(token, {}, { client_id: 'app' })
      expect(await isActive(token)).to.equal(false)
    })

    it('changes nothing for tokens that are not the client’s, and answers the same', async () => {
      const own = await login()
      await endWith(own, {}, { client_id: 'app' })
      await endWith(own, api)
      await endWith(own, basicOf('foreign', secrets.foreign))
      expect(await isActive(own)).to.equal(true)
      for (const token of ['x', 'a.b.c', 'kr1.a.1.b', `${own}x`, `${own.slice(0, -3)}AAA`]) {
        await endWith(token)
      }
      expect(await isActive(own)).to.equal(true)
      const rules = await call(notifier, system.apiKey, '/v1/revocations?limit=1000')
      expect(JSON.stringify(rules.body)).not.to.contain(String(readUnverified(own).claims['jti']))
    })

    it('takes any token_type_hint, and a token twice', async () => {
      for (const hint of ['refresh_token', 'nonsense', 'access_token']) {
        const token = await login()
        await endWith(token, web, { token_type_hint: hint })
        await endWith(token, web, { token_type_hint: hint })
        expect(await isActive(token)).to.equal(false)
      }
    })

    it('ends the session of a client’s own refresh token, whatever the hint, and no other', async () => {
      for (const hint of ['access_token', 'refresh_token', 'nonsense']) {
        const { access, refresh } = await session()
        await endWith(refresh, {}, { client_id: 'app', token_type_hint: hint })
        await endWith(refresh, basicOf('foreign', secrets.foreign), { token_type_hint: hint })
        await endWith(`${refresh.slice(0, -2)}AA`, web, { token_type_hint: hint })
        expect(await isActive(access)).to.equal(true)
        await endWith(refresh, web, { token_type_hint: hint })
        expect(await isActive(access)).to.equal(false)
        const again = await renew(refresh)
        expect([again.status, again.body['error']]).to.deep.equal([400, 'invalid_grant'])
        await endWith(refresh, web, { token_type_hint: hint })
      }
      const { access, refresh } = await session()
      const next = String((await renew(refresh)).body['refresh_token'])
      await endWith(refresh)
      expect(await isActive(access), 'by a refresh token that was used before').to.equal(false)
      expect((await renew(next)).body['error']).to.equal('invalid_grant')
    })

    it('needs a client and a token', async () => {
      const token = await login()
      const answers = [
        await revoke(token, {}),
        await revoke(token, { authorization: `Bearer ${system.apiKey}` }),
        await postForm(notifier, '/oauth/revoke', { token_type_hint: 'x' }, web),
      ]
      expect(answers.map(({ status, body }) => [status, body['error']])).to.deep.equal([
        [401, 'invalid_client'],
        [401, 'invalid_client'],
        [400, 'invalid_request'],
      ])
      expect(await isActive(token)).to.equal(true)
    })
  })

  it('has metadata of RFC 8414 that names only what is served', async () => {
    const get = (path: string): Promise<Answer> => call(notifier, system.apiKey, path)
    const base = '/.well-known/oauth-authorization-server'
    const { status, body, headers } = await get(base)
    expect(status).to.equal(200)
    expect(body).to.include({ issuer: ISSUER, revocation_endpoint: `${ISSUER}/oauth/revoke` })
    expect(body['response_types_supported']).to.deep.equal([])
    expect(headers.get('cache-control')).to.match(/^public, max-age=\d+$/)
    const other = await get(`${base}/tenant`)
    expect(other.body).to.include({ issuer: OTHER_ISSUER })
    expect((await get(`${base}/nobody`)).status).to.equal(404)
    for (const each of [body, other.body]) {
      for (const [name, value] of Object.entries(each)) {
        if (!/_endpoint$|_uri$/.test(name)) continue
        const url = new URL(String(value))
        const answer = name.endsWith('_uri')
          ? await get(url.pathname + url.search)
          : await postForm(notifier, url.pathname, {})
        expect(answer.status, name).to.equal(name.endsWith('_uri') ? 200 : 401)
      }
    }
  })

  it('gives no other origin leave to read an answer', async () => {
    const from = { origin: 'https://evil.example' }
    const answers = [
      await introspect('x', { ...all, ...from }),
      await revoke('x', { ...web, ...from }),
      await fetch(`${notifier.url}/oauth/revoke`, {
        method: 'OPTIONS',
        headers: { ...from, 'access-control-request-method': 'POST', connection: 'close' },
      }),
    ]
    for (const { headers } of answers) {
      const names = [...headers.keys()]
      expect(names.filter((name) => name.startsWith('access-control'))).to.deep.equal([])
    }
  })

  describe('with STATEFUL', () => {
    it('knows only tokens that were registered, at their expiry or a lead time before', async () => {
      const issuer = createIssuer(ISSUER)
      const settings = {
        TENANTS_FILE: '',
        ISSUER,
        JWT_KEYS: JSON.stringify(issuer.verify.keys),
        CLIENTS_FILE: join(system.folder, 'stateful.json'),
        EXPIRING_LEAD: '10s,250s',
      }
      writeFileSync(settings.CLIENTS_FILE, JSON.stringify({ all: clients['all'] }))
      const stateful = await system.start('notifier', { ...settings, STATEFUL: '1' })
      const loose = await system.start('notifier', { ...settings, EXPIRING_LEAD: '' })
      const ask = async (process: KnellProcess, token: string): Promise<unknown> =>
        (await postForm(process, '/oauth/introspect', { token }, all)).body['active']
      const asks = async (token: string): Promise<unknown[]> => [
        await ask(stateful, token),
        await ask(loose, token),
      ]
      const token = issuer.token('eve')
      expect(await asks(token)).to.deep.equal([false, true])
      const register = (each: string): Promise<Answer> =>
        call(stateful, system.apiKey, '/v1/tokens', { token: each })
      expect((await register(token)).status).to.equal(201)
      expect(await asks(token)).to.deep.equal([true, true])
      expect(await ask(stateful, issuer.token('eve', { jti: 'other' }))).to.equal(false)
      const { jti, exp } = readUnverified(token).claims
      const later = issuer.token('eve', { jti, exp: Number(exp) + 1 })
      expect(await ask(stateful, later), 'another exp').to.equal(false)
      expect(await ask(stateful, issuer.token('eve', { jti: undefined }))).to.equal(false)
      const plain = issuer.token('eve')
      await call(loose, system.apiKey, '/v1/tokens', { token: plain })
      expect(await ask(stateful, plain), 'registered without lead times').to.equal(true)
      const issued = await call(stateful, system.apiKey, '/v1/sessions', {
        sub: 'eve',
        client_id: 'web',
        aud: 'x',
      })
      expect(await ask(stateful, String(issued.body['access_token']))).to.equal(true)
    })
  })

  it('says that it does not know while the store is away, and has then changed nothing', async () => {
    const { hostname, port, href } = new URL(String(system.env['REDIS_URL']))
    const proxy = await openProxy({ target: { host: hostname, port: Number(port) } })
    try {
      const cut = await system.start('notifier', { REDIS_URL: proxy.url(href) })
      const { access, refresh } = await session()
      const ask = (path: string, token: string) =>
        postForm(cut, path, { token }, path.endsWith('e') ? web : all)
      expect((await ask('/oauth/introspect', access)).body['active']).to.equal(true)
      await proxy.cut()
      const asked: [string, string][] = [
        ['/oauth/introspect', access],
        ['/oauth/introspect', 'unknown'],
        ['/oauth/revoke', access],
        ['/oauth/revoke', refresh],
        ['/oauth/revoke', 'unknown'],
      ]
      const answers = await Promise.all(asked.map(([path, token]) => ask(path, token)))
      for (const { status, body, headers } of answers) {
        expect([status, body['error']]).to.deep.equal([503, 'temporarily_unavailable'])
        expect(Number(headers.get('retry-after'))).to.be.greaterThan(0)
      }
      expect(await isActive(access)).to.equal(true)
      await proxy.resume()
      await eventually(async () => (await ask('/oauth/revoke', access)).status === 200, {
        what: 'the store to be back',
      })
      expect(await isActive(access)).to.equal(false)
    } finally {
      await proxy.close()
    }
  })

  it('knows the clients of a changed file without a restart, and keeps the old ones where it is broken', async () => {
    const fresh = { late: { secret: 'secret-of-late-0123456789', introspect: true } }
    const late = basicOf('late', 'secret-of-late-0123456789')
    expect((await introspect('x', late)).status).to.equal(401)
    writeFileSync(system.clientsFile, JSON.stringify({ ...clients, ...fresh }))
    const until = (check: () => Promise<boolean> | boolean, what: string) =>
      eventually(check, { what, intervalMs: 200 })
    await until(async () => (await introspect('x', late)).status === 200, 'the new client')
    const secret = 'short-and-secret'.slice(0, 9)
    writeFileSync(system.clientsFile, JSON.stringify({ late: { secret } }))
    const saidSo = (): boolean =>
      notifier.output.some((line) => line.includes('OAuth clients are unusable'))
    await until(saidSo, 'the log')
    expect(notifier.output.join('\n')).not.to.contain(secret)
    expect((await introspect('x', late)).status).to.equal(200)
  })
})
