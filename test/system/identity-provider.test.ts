import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { createGuard } from '../../shared/frameworks/index.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { openProxy } from '../../shared/testing/tcp-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { createKey, Provider } from '../support/provider.ts'
import { agentEnv, ask, bearerOf, spawnAgent, type SpawnedAgent } from '../support/spawned-agent.ts'
import { call, createSystem, now, type TestSystem } from '../support/system.ts'

describe('tokens of an identity provider', function () {
  this.timeout(60_000)
  let provider: Provider
  let system: TestSystem
  let notifier: KnellProcess

  before(async () => {
    provider = await new Provider().open()
    system = createSystem({
      ISSUER: provider.issuer,
      JWKS_URI: provider.jwksUri,
      LOGOUT_AUDIENCE: 'shop,app',
      MAX_TOKEN_TTL: '1h',
    })
    notifier = await system.start('notifier')
  })
  after(async () => {
    await system.stop()
    await provider.close()
  })

  const subscribe = (more: object = {}): Promise<Subscriber> => {
    const { issuer, jwksUri } = provider
    return system.subscribe({ verify: { issuer, jwksUri, jwksCoolDown: 100, ...more } })
  }
  const post = (path: string, body: object, headers = {}) =>
    call(notifier, system.apiKey, path, body, headers)
  const revoke = (match: object) => post('/v1/revocations', { match, wait: { for: 'all' } })
  const codeOf = async (subscriber: Subscriber, token: string): Promise<string> =>
    (await subscriber.verify(token)).code

  describe('in a service', () => {
    it('are let in by a new key without a restart and without one refusal, in a guard as well', async () => {
      const subscriber = await subscribe()
      expect(await codeOf(subscriber, provider.token('alice'))).to.equal('active')
      provider.rotate('rotated-1', 'rsa')
      const guard = createGuard({ subscriber })
      const headers = { authorization: `Bearer ${provider.token('bob')}` }
      expect(await guard({ headers })).to.include({ ok: true })
      const many = Array.from({ length: 20 }, (_, i) => provider.token(`u${i}`))
      const codes = await Promise.all(many.map((token) => codeOf(subscriber, token)))
      expect(new Set(codes)).to.deep.equal(new Set(['active']))
    })

    it('are dead at once, all of them, when their key is revoked, until it is restored', async () => {
      const subscriber = await subscribe()
      const stolen = provider.rotate('stolen')
      const before = provider.token('alice')
      expect(await codeOf(subscriber, before)).to.equal('active')
      expect((await revoke({ kid: 'stolen' })).body).to.have.nested.property('enforced.done', true)
      const after = provider.token('mallory', { iat: now() }, stolen)
      const { asked } = provider
      for (const token of [before, after, provider.token('x', { aud: 'a' }, stolen)]) {
        const found = await subscriber.verify(token)
        expect(found).to.include({ active: false, code: 'revoked', reason: 'other' })
        // It was not verified: the key is gone.
        expect(found).to.not.have.property('claims')
      }
      expect(provider.asked, 'a key that is revoked is not asked for').to.equal(asked)
      // A fetch brings it again, and it is not taken.
      provider.rotate('after-theft')
      await eventually(async () => (await codeOf(subscriber, provider.token('a'))) === 'active')
      expect(provider.asked).to.be.above(asked)
      expect(await codeOf(subscriber, before)).to.equal('revoked')
      expect((await post('/v1/tokens', { token: before })).body).to.include({
        code: 'token_unknown_key',
      })
      await post('/v1/revocations/restore', { match: { kid: 'stolen' } })
      await eventually(async () => (await codeOf(subscriber, before)) === 'active')
    })

    it('are let in where the service only observes, whatever became of their key', async () => {
      const { issuer, jwksUri } = provider
      const verify = { issuer, jwksUri, jwksCoolDown: 100 }
      const log = { debug() {}, info() {}, warn() {} }
      const subscriber = await system.subscribe({ verify, mode: 'observe', service: 'eye', log })
      provider.rotate('observed')
      const token = provider.token('alice')
      expect(await codeOf(subscriber, token)).to.equal('active')
      await revoke({ kid: 'observed' })
      const found = await subscriber.verify(token)
      expect(found).to.include({ active: true, code: 'revoked', observed: true })
      expect(found.claims).to.include({ sub: 'alice' })
      await post('/v1/revocations/restore', { match: { kid: 'observed' } })
    })

    it('wait while the provider has never answered, and are let in when it does', async () => {
      const late = await new Provider(createKey('late')).open()
      const { issuer, jwksUri } = late
      await late.close()
      const verify = { issuer, jwksUri, jwksCoolDown: 100 }
      const subscriber = await system.subscribe({ verify, service: 'late' })
      expect(subscriber.hasKeys).to.equal(false)
      const token = late.token('alice')
      expect(await codeOf(subscriber, token)).to.equal('not_ready')
      const guard = createGuard({ subscriber })
      const headers = { authorization: `Bearer ${token}` }
      expect(await guard({ headers })).to.include({ ok: false, status: 503, code: 'not_ready' })
      await late.open()
      await eventually(async () => (await codeOf(subscriber, token)) === 'active')
      await late.close()
      expect(await codeOf(subscriber, token), 'the provider is down again').to.equal('active')
    })

    it('of keys that nobody has do not have the provider hammered', async () => {
      const subscriber = await subscribe({ jwksCoolDown: 60_000 })
      const { asked } = provider
      for (let i = 0; i < 100; i++) {
        const token = provider.token('x', {}, { ...provider.key, kid: `nobody-${i}` })
        expect(await codeOf(subscriber, token)).to.equal('token_unknown_key')
      }
      expect(provider.asked - asked).to.equal(3)
    })

    it('are let in by the agent, by a new key as well', async () => {
      const env = { ISSUER: provider.issuer }
      const agent: SpawnedAgent = await spawnAgent(agentEnv(system, env), [
        '--jwks-uri',
        provider.jwksUri,
      ])
      try {
        await eventually(async () => (await ask(agent, '/readyz')).status === 200)
        const authorize = async (token: string) =>
          (await ask(agent, '/authorize', { headers: bearerOf(token) })).status
        expect(await authorize(provider.token('alice'))).to.equal(200)
        expect(await authorize(provider.token('x', {}, createKey('nobody')))).to.equal(401)
        provider.rotate('agent-1')
        expect(await authorize(provider.token('bob'))).to.equal(200)
      } finally {
        agent.kill('SIGTERM')
        await agent.ended
      }
    })
  })

  it('are registered and revoked by the notifier, by a new key as well', async () => {
    await eventually(
      async () => (await post('/v1/tokens', { token: provider.token('a') })).status === 201,
    )
    provider.rotate('rotated-2')
    expect((await post('/v1/tokens', { token: provider.token('b') })).status).to.equal(201)
    expect((await post('/v1/revocations', { token: provider.token('c') })).status).to.equal(201)
    const forged = provider.token('d', {}, { ...createKey('x'), kid: provider.key.kid })
    const refused = await post('/v1/tokens', { token: forged })
    expect(refused.body).to.include({ code: 'token_signature_invalid' })
  })

  describe('back-channel logout', () => {
    const logout = async (token: string, query = '', from = notifier) => {
      const response = await fetch(`${from.url}/v1/backchannel-logout${query}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          connection: 'close',
        },
        body: new URLSearchParams({ logout_token: token, more: 'is ignored' }).toString(),
      })
      expect(response.headers.get('cache-control')).to.equal('no-store')
      expect(response.headers.get('content-type')).to.match(/^application\/json/)
      return { status: response.status, body: (await response.json()) as Record<string, string> }
    }
    const ruleOf = async (query: string): Promise<{ cutoffs?: object[] } | null> => {
      const { body } = await call(notifier, system.apiKey, `/v1/revocations?${query}`)
      return body['rule'] as { cutoffs?: object[] } | null
    }

    it('ends one session by its sid, once, however often the token comes', async () => {
      const subscriber = await subscribe()
      const mine = provider.token('alice', { sid: 's-1' })
      const other = provider.token('alice', { sid: 's-2' })
      const token = provider.logoutToken({ sub: 'alice', sid: 's-1' })
      expect(await logout(token)).to.deep.equal({ status: 200, body: {} })
      await eventually(async () => (await codeOf(subscriber, mine)) === 'revoked')
      expect(await subscriber.verify(mine)).to.include({ reason: 'logout' })
      expect(await codeOf(subscriber, other)).to.equal('active')
      const rule = await ruleOf('sid=s-1')
      await Promise.all(Array.from({ length: 10 }, () => logout(token)))
      expect(await ruleOf('sid=s-1')).to.deep.equal(rule)
      const { body } = await call(notifier, system.apiKey, '/v1/audit?sid=s-1')
      const [record] = body['audit'] as { who: object; action: string; reason: string }[]
      expect(record).to.deep.include({ action: 'revoke', reason: 'logout' })
      expect(record?.who).to.deep.equal({ key: null, by: provider.issuer })
    })

    it('ends all sessions of a sub, and none that begins after it', async () => {
      const subscriber = await subscribe()
      const iat = now() - 3
      const old = provider.token('bob', { iat: iat - 60 })
      const token = provider.logoutToken({ sub: 'bob', iat })
      expect((await logout(token)).status).to.equal(200)
      await eventually(async () => (await codeOf(subscriber, old)) === 'revoked')
      const next = provider.token('bob', { iat: iat + 1 })
      expect(await codeOf(subscriber, next)).to.equal('active')
      expect((await logout(token)).status).to.equal(200)
      expect(await ruleOf('sub=bob')).to.have.nested.property('cutoffs[0].issuedBefore', iat)
      expect(await codeOf(subscriber, next)).to.equal('active')
      // A mistake that was undone stays undone, though the token comes again.
      await post('/v1/revocations/restore', { match: { sub: 'bob' } })
      await eventually(async () => (await codeOf(subscriber, old)) === 'active')
      expect((await logout(token)).status).to.equal(200)
      expect(await ruleOf('sub=bob')).to.not.have.property('cutoffs')
    })

    it('takes a provider whose clock is ahead', async () => {
      const iat = now() + 30
      expect((await logout(provider.logoutToken({ sub: 'carol', iat }))).status).to.equal(200)
      expect(await ruleOf('sub=carol'))
        .to.have.nested.property('cutoffs[0].issuedBefore')
        .below(iat)
    })

    it('is taken by a new key, and refused of a key that is revoked', async () => {
      const old = provider.key
      const stranger = () => provider.logoutToken({ sub: 'x' }, {}, createKey('nobody'))
      // Whoever names keys that nobody has uses up what the provider is asked: then it is "not yet", not "no".
      await eventually(async () => (await logout(stranger())).status === 503)
      provider.rotate('rotated-3')
      const token = provider.logoutToken({ sub: 'dora' })
      expect((await logout(token)).body).to.include({ code: 'keys_unavailable' })
      await eventually(async () => (await logout(token)).status === 200, {
        timeoutMs: 20_000,
        intervalMs: 500,
        what: 'the cool-down to be over',
      })
      await post('/v1/revocations', { match: { kid: old.kid } })
      await eventually(async () => {
        const told = await logout(provider.logoutToken({ sub: 'eve' }, {}, old))
        return (
          told.status !== 200 && /revoked|not known/.test(String(told.body['error_description']))
        )
      })
      await post('/v1/revocations/restore', { match: { kid: old.kid } })
    })

    it('is refused with 400 that says why, and a good one is taken whatever failed before', async () => {
      const access = provider.token('frank', { aud: 'shop', sid: 's-9' })
      const rows: readonly (readonly [string, string])[] = [
        ['token_malformed', 'x'],
        ['token_wrong_type', access],
        ['token_wrong_audience', provider.logoutToken({ sub: 'x', aud: 'other' })],
        ['token_wrong_issuer', provider.logoutToken({ sub: 'x', iss: 'https://evil.example' })],
        ['token_claims_invalid', provider.logoutToken({ sub: 'x', nonce: 'n' })],
        ['token_claims_invalid', provider.logoutToken({})],
        ['token_expired', provider.logoutToken({ sub: 'x', iat: now() - 400 })],
        [
          'token_signature_invalid',
          provider.logoutToken({ sub: 'x' }, {}, { ...createKey('y'), kid: provider.key.kid }),
        ],
      ]
      for (const [code, token] of rows) {
        const { status, body } = await logout(token)
        expect(body, code).to.include({ error: 'invalid_request', code })
        expect(status).to.equal(400)
        expect(body['error_description']).to.be.a('string')
      }
      await eventually(async () => (await logout('x')).status === 429, { timeoutMs: 5000 })
      expect((await logout(provider.logoutToken({ sub: 'frank' }))).status).to.equal(200)
    })

    it('lets nobody in: a logout token is no access token', async () => {
      const subscriber = await subscribe()
      for (const typ of ['logout+jwt', 'JWT', 'at+jwt', undefined]) {
        const token = provider.logoutToken({ sub: 'gina', aud: 'shop' }, { typ })
        expect(await codeOf(subscriber, token)).to.equal('token_wrong_type')
        expect((await post('/v1/tokens', { token })).body).to.include({ code: 'token_wrong_type' })
      }
    })

    it('is a form and nothing else, of one token', async () => {
      const url = `${notifier.url}/v1/backchannel-logout`
      const token = provider.logoutToken({ sub: 'harry' })
      const send = async (body: string, type: string): Promise<number> => {
        const headers = { 'content-type': type, connection: 'close' }
        return (await fetch(url, { method: 'POST', headers, body })).status
      }
      const form = 'application/x-www-form-urlencoded'
      expect(await send(JSON.stringify({ logout_token: token }), 'application/json')).to.equal(400)
      expect(await send(`logout_token=${token}&logout_token=${token}`, form)).to.be.oneOf([
        400, 429,
      ])
      expect(await send('', form)).to.be.oneOf([400, 429])
      expect(await send(`logout_token=${'x'.repeat(40_000)}`, form)).to.equal(400)
      expect(await ruleOf('sub=harry')).to.equal(null)
      const match = `${notifier.url}/v1/revocations`
      const headers = {
        authorization: `Bearer ${system.apiKey}`,
        'content-type': form,
        connection: 'close',
      }
      const other = await fetch(match, { method: 'POST', headers, body: 'match=' })
      expect(other.status, 'no other call takes a form').to.equal(415)
    })

    it('is not taken where there is no audience for it, nor of a tenant that there is not', async () => {
      const token = provider.logoutToken({ sub: 'x' })
      const unknown = await logout(token, '?tenant=nobody')
      expect(unknown).to.deep.include({ status: 404 })
      const bare = createSystem({ ISSUER: provider.issuer, JWKS_URI: provider.jwksUri })
      const other = await bare.start('notifier')
      const told = await logout(token, '', other)
      await bare.stop()
      expect(told.status).to.equal(404)
      expect(told.body).to.deep.equal(unknown.body)
    })

    it('is answered 503 while the store is away, so that the provider sends it again', async () => {
      const redis = new URL(String(system.env['REDIS_URL']))
      const proxy = await openProxy({ target: { host: redis.hostname, port: Number(redis.port) } })
      const own = await system.start('notifier', { REDIS_URL: proxy.url(redis.href) })
      try {
        const token = provider.logoutToken({ sub: 'ivy' })
        await proxy.cut()
        const told = await logout(token, '', own)
        expect(told.status).to.equal(503)
        expect(told.body).to.include({ error: 'temporarily_unavailable' })
        await proxy.resume()
        await eventually(async () => (await logout(token, '', own)).status === 200)
        expect(await ruleOf('sub=ivy')).to.have.property('cutoffs')
      } finally {
        await own.kill('SIGKILL')
        await proxy.close()
      }
    })
  })
})
