import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { readUnverified } from '../../shared/tokens/read-unverified.ts'
import type { JwkSet } from '../../shared/tokens/key-set.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, now, type Answer, type TestSystem } from '../support/system.ts'

const ISSUER = 'https://id.example'
const ALICE = { sub: 'alice', client_id: 'web', aud: 'api' }

describe('Issuing access tokens', () => {
  let system: TestSystem
  let notifier: KnellProcess

  before(async () => {
    system = createSystem({
      ISSUER,
      ISSUER_ENABLED: '1',
      KEY_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
    })
    notifier = await system.start('notifier')
  })
  after(() => system.stop())

  const ask = (path: string, body?: unknown): Promise<Answer> =>
    call(notifier, system.apiKey, path, body)
  const jwks = async (): Promise<JwkSet> => {
    const { body } = await ask('/.well-known/jwks.json')
    return body as unknown as JwkSet
  }
  const login = async (more: object = {}): Promise<string> => {
    const { status, body } = await ask('/v1/sessions', { ...ALICE, ...more })
    expect(status, JSON.stringify(body)).to.equal(201)
    return String(body['access_token'])
  }

  it('gives a token of RFC 9068 that the public keys verify, short of life, and registered', async () => {
    const before = await jwks()
    const answer = await ask('/v1/sessions', {
      ...ALICE,
      scope: 'read write',
      claims: { roles: ['admin'] },
    })
    expect(answer.status).to.equal(201)
    expect(answer.headers.get('cache-control')).to.equal('no-store')
    expect(answer.body).to.include({ token_type: 'Bearer', expires_in: 300, scope: 'read write' })
    const subscriber = await system.subscribe({
      service: 'reader',
      verify: { issuer: ISSUER, keys: before, audience: 'api', typ: ['at+jwt'] },
    })
    const token = String(answer.body['access_token'])
    const found = await subscriber.verify(token)
    expect(found).to.include({ active: true, code: 'active' })
    expect(found.claims).to.deep.include({
      ...ALICE,
      iss: ISSUER,
      scope: 'read write',
      roles: ['admin'],
      sid: answer.body['sid'],
      jti: answer.body['jti'],
    })
    const { iat = 0, exp = 0 } = found.claims as { iat?: number; exp?: number }
    expect(exp - iat).to.equal(300)
    expect(Math.abs(iat - now())).to.be.at.most(2)
    const due = (await ask('/v1/due')).body as { minutes: number[] }
    expect(due.minutes.reduce((sum, count) => sum + count, 0)).to.be.greaterThan(0)
  })

  it('serves nothing secret, and keeps private keys in the store only encrypted', async () => {
    await login()
    const redis = createRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    try {
      const [key = ''] = await redis.keys(`${system.namespace}:*:ring`)
      const text = (await redis.get(key)) ?? ''
      expect(text)
        .to.include('"sealed"')
        .and.not.match(/"(?:d|k|p|q)":/)
      const { keys } = JSON.parse(text) as { keys: { sealed: string }[] }
      const shown = JSON.stringify([await jwks(), (await ask('/v1/keys')).body])
      for (const { sealed } of keys) expect(shown).to.not.include(sealed)
      expect(shown).to.not.match(/"(?:d|k|p|q|sealed)":/)
    } finally {
      redis.disconnect()
    }
  })

  it('publishes the next key before it signs, and lets the last one verify after a rotation', async () => {
    const old = await login()
    const published = (await jwks()).keys.map(({ kid }) => kid)
    const { status, body } = await ask('/v1/keys/rotate', { force: true })
    expect(status).to.equal(200)
    expect((body['keys'] as { state: string }[]).map(({ state }) => state)).to.include.members([
      'retiring',
      'active',
      'next',
    ])
    const { kid } = readUnverified(await login()).header
    expect(published).to.include(kid)
    expect(kid).to.not.equal(readUnverified(old).header['kid'])
    expect((await jwks()).keys.map((key) => key.kid)).to.include(readUnverified(old).header['kid'])
    expect((await ask('/v1/revocations', { token: old, dryRun: true })).status).to.equal(200)
  })

  it('ends a key and whatever it has signed by one call, and goes on with another', async () => {
    const token = await login()
    const { header, claims } = readUnverified(token)
    const kid = String(header['kid'])
    const subscriber = await system.subscribe({ service: 'guard' })
    expect(subscriber.check(claims, header).active).to.equal(true)
    const { status, body } = await ask('/v1/keys/revoke', { kid })
    expect(status, JSON.stringify(body)).to.equal(200)
    await eventually(() => !subscriber.check(claims, header).active, { what: 'the token to die' })
    expect(subscriber.check(claims, header)).to.include({
      code: 'revoked',
      reason: 'key-compromise',
    })
    const after = readUnverified(await login())
    expect(after.header['kid']).to.not.equal(kid)
    expect(subscriber.check(after.claims, after.header).active).to.equal(true)
    expect((await jwks()).keys.map((key) => key.kid)).to.not.include(kid)
    expect((await ask('/v1/tokens', { token })).body).to.include({ code: 'token_unknown_key' })
  })

  it('refuses nobody while keys are revoked one after the other under load', async () => {
    const over = new AbortController()
    const answers: Answer[] = []
    const login = async (): Promise<void> => {
      while (!over.signal.aborted) answers.push(await ask('/v1/sessions', ALICE))
    }
    const logins = Promise.all(Array.from({ length: 20 }, login))
    for (let i = 0; i < 5; i++) {
      const { keys } = (await ask('/v1/keys')).body as { keys: { kid: string; state: string }[] }
      const kid = keys.find(({ state }) => state === 'active')?.kid
      expect((await ask('/v1/keys/revoke', { kid })).status).to.equal(200)
    }
    over.abort()
    await logins
    expect(answers.length).to.be.greaterThan(20)
    const refused = answers.filter(({ status }) => status !== 201).map(({ body }) => body)
    expect(refused).to.deep.equal([])
    expect((await ask('/v1/keys/revoke', { kid: 'nobody' })).body).to.include({
      code: 'unknown_key',
    })
  })

  it('signs with no key that a rule alone has killed', async () => {
    const { kid } = readUnverified(await login()).header
    expect((await ask('/v1/revocations', { match: { kid } })).status).to.equal(201)
    const next = readUnverified(await login())
    expect(next.header['kid']).to.not.equal(kid)
    const { body } = await ask('/v1/check', { claims: next.claims, header: next.header })
    expect(body).to.include({ active: true })
  })

  it('lets the login after a password change in, at once, and refuses whoever is held', async () => {
    const before = readUnverified(await login({ sub: 'bea' }))
    const change = { match: { sub: 'bea' }, reason: 'password-change' }
    expect((await ask('/v1/revocations', change)).status).to.equal(201)
    const after = readUnverified(await login({ sub: 'bea' }))
    const check = async ({ claims, header }: typeof after): Promise<unknown> =>
      (await ask('/v1/check', { claims, header })).body['code']
    expect(await check(before)).to.equal('revoked')
    expect(await check(after)).to.equal('active')
    expect(Number(after.claims['iat'])).to.be.at.most(now())

    const hold = { match: { sub: 'bea' }, hold: { reviewBy: now() + 600, outcome: 'release' } }
    expect((await ask('/v1/revocations', hold)).status).to.equal(201)
    const refused = await ask('/v1/sessions', { ...ALICE, sub: 'bea' })
    expect(refused.status).to.equal(403)
    expect(refused.body).to.include({ code: 'grant_refused', decision: 'held' })
  })

  it('goes on with a session once the revocation that covered it is restored', async () => {
    const { body: login } = await ask('/v1/sessions', { ...ALICE, sub: 'ines' })
    const { body: made } = await ask('/v1/revocations', { match: { sub: 'ines' } })
    const refresh = (): Promise<Answer> =>
      ask('/v1/sessions/refresh', { refreshToken: login['refresh_token'], client_id: 'web' })
    expect((await refresh()).body).to.include({ code: 'session_revoked' })
    expect((await ask('/v1/revocations/restore', { id: made['id'] })).status).to.equal(200)
    const { status, body } = await refresh()
    expect(status, JSON.stringify(body)).to.equal(200)
  })

  it('refuses claims that are not the caller’s to set, a key without the scope, and a life past the maximum', async () => {
    for (const bad of [
      { claims: { iss: 'x' } },
      { claims: { exp: 1 } },
      { claims: { events: {} } },
      { sub: '' },
      { aud: [] },
      { scope: 'a  b' },
      { nobody: 1 },
    ]) {
      const { status, body } = await ask('/v1/sessions', { ...ALICE, ...bad })
      expect(status, JSON.stringify(bad)).to.equal(400)
      expect(body).to.include({ code: 'invalid_request' })
    }
    const long = await ask('/v1/sessions', { ...ALICE, expiresIn: 86_400 })
    expect(long.status).to.equal(201)
    expect((await call(notifier, 'nobody-knows-this', '/v1/sessions', ALICE)).status).to.equal(401)
  })

  it('is not there where it is off', async () => {
    const off = await system.start('notifier', { ISSUER_ENABLED: '0' })
    expect((await call(off, system.apiKey, '/v1/sessions', ALICE)).status).to.equal(404)
    expect((await call(off, system.apiKey, '/.well-known/jwks.json')).status).to.equal(404)
  })
})
