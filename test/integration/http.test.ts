import { expect } from 'chai'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import jwt from 'jsonwebtoken'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import {
  call,
  createSystem,
  now,
  oldToken,
  type Answer,
  type TestSystem,
} from '../support/system.ts'

const ISSUER = 'https://issuer.example'
const OTHER = 'https://other.example'

describe('the HTTP API', function () {
  this.timeout(60_000)
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  let folder: string
  let system: TestSystem
  let notifier: KnellProcess
  let poller: KnellProcess

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'knell-http-'))
    const key = { ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256' }
    const tenants = {
      default: { issuer: ISSUER, keys: { keys: [key] }, maxTokenTtl: '24h' },
      other: { issuer: OTHER, keys: { keys: [key] }, maxTokenTtl: '1h' },
      keyless: {},
    }
    const path = join(folder, 'tenants.json')
    await writeFile(path, JSON.stringify(tenants))
    system = createSystem({ TENANTS_FILE: path })
    const keys = [
      `test=${system.apiKey}:*`,
      'reader=reader-secret-0123:feed:read',
      'writer=writer-secret-0123:revocations:write+tokens:write',
      'only=only-other-secret-01:*@other',
    ]
    notifier = await system.start('notifier', { API_KEYS: keys.join(' ') })
    poller = await system.start('poller', { API_KEYS: keys.join(' ') })
  })
  after(async () => {
    await system.stop()
    await rm(folder, { recursive: true })
  })

  const post = (path: string, body: unknown, key = system.apiKey): Promise<Answer> =>
    call(notifier, key, path, body)
  const get = (path: string, key = system.apiKey): Promise<Answer> => call(notifier, key, path)

  function sign(
    claims: object,
    options: jwt.SignOptions & { key?: typeof privateKey } = {},
  ): string {
    const { key = privateKey, ...rest } = options
    const all = { iss: ISSUER, jti: 'j', iat: now(), exp: now() + 600, ...claims }
    return jwt.sign(all, key, { algorithm: 'ES256', keyid: 'k1', ...rest })
  }

  const claims = (more: object = {}) => ({ claims: { jti: 'j', exp: now() + 600, ...more } })

  const refused: [string, string, () => unknown, number, string][] = [
    ['JSON that is none', '/v1/revocations', () => '{"match":', 400, 'invalid_json'],
    [
      'a poisoned prototype',
      '/v1/revocations',
      () => '{"match":{"sub":"a"},"__proto__":{"x":1}}',
      400,
      'invalid_json',
    ],
    [
      'an unknown member',
      '/v1/revocations',
      () => ({ match: { sub: 'a' }, mach: 1 }),
      400,
      'invalid_request',
    ],
    [
      'neither match nor token',
      '/v1/revocations',
      () => ({ reason: 'logout' }),
      400,
      'invalid_request',
    ],
    [
      'both match and token',
      '/v1/revocations',
      () => ({ match: { sub: 'a' }, token: 'x' }),
      400,
      'invalid_request',
    ],
    ['a list for a body', '/v1/revocations', () => [], 400, 'invalid_request'],
    [
      'a reason nobody knows',
      '/v1/revocations',
      () => ({ match: { sub: 'a' }, reason: 'because' }),
      400,
      'invalid_request',
    ],
    [
      'a match of four claims',
      '/v1/revocations',
      () => ({ match: { a: 1, b: 2, c: 3, d: 4 } }),
      400,
      'invalid_match',
    ],
    [
      'an object as a value',
      '/v1/revocations',
      () => ({ match: { sub: { $ne: 1 } } }),
      400,
      'invalid_match',
    ],
    ['an empty value', '/v1/revocations', () => ({ match: { sub: '' } }), 400, 'invalid_match'],
    [
      'a line feed in a value',
      '/v1/revocations',
      () => ({ match: { sub: 'a\nb' } }),
      400,
      'invalid_match',
    ],
    [
      'a value of 10 kB',
      '/v1/revocations',
      () => ({ match: { sub: 'x'.repeat(10_000) } }),
      400,
      'invalid_match',
    ],
    [
      'a lone surrogate',
      '/v1/revocations',
      () => '{"match":{"sub":"\\ud800"}}',
      400,
      'invalid_match',
    ],
    [
      'a claim name with a brace',
      '/v1/revocations',
      () => ({ match: { '{a}': 1 } }),
      400,
      'invalid_match',
    ],
    [
      'an empty exception',
      '/v1/revocations',
      () => ({ match: { sub: 'a' }, except: {} }),
      400,
      'invalid_match',
    ],
    [
      'an issuedBefore in the future',
      '/v1/revocations',
      () => ({ match: { sub: 'a' }, issuedBefore: now() + 600 }),
      422,
      'issued_before_in_future',
    ],
    [
      'a fractional issuedBefore',
      '/v1/revocations',
      () => ({ match: { sub: 'a' }, issuedBefore: 1.5 }),
      400,
      'invalid_request',
    ],
    [
      'issuedBefore in ms',
      '/v1/revocations',
      () => ({ match: { sub: 'a' }, issuedBefore: Date.now() }),
      400,
      'invalid_request',
    ],
    [
      'an undeclared tenant',
      '/v1/revocations',
      () => ({ match: { sub: 'a' }, tenant: 'nobody' }),
      404,
      'unknown_tenant',
    ],
    [
      'a tenant with a colon',
      '/v1/revocations',
      () => ({ match: { sub: 'a' }, tenant: 'a:b' }),
      400,
      'invalid_request',
    ],
    [
      'the reserved tenant',
      '/v1/revocations',
      () => ({ match: { sub: 'a' }, tenant: '_all' }),
      400,
      'invalid_request',
    ],
    [
      'a body over the limit',
      '/v1/revocations',
      () => ({ match: { sub: 'a' }, note: 'x'.repeat(300_000) }),
      413,
      'body_too_large',
    ],
    [
      'a number beyond 2^53',
      '/v1/revocations',
      () => '{"match":{"uid":175928847299117063}}',
      400,
      'invalid_match',
    ],
    [
      'a restore of nothing',
      '/v1/revocations/restore',
      () => ({ match: { sub: 'never revoked' } }),
      404,
      'unknown_revocation',
    ],
    [
      'a restore by no id',
      '/v1/revocations/restore',
      () => ({ id: "r1';DROP" }),
      400,
      'invalid_request',
    ],
    [
      'a restore in a shard there is not',
      '/v1/revocations/restore',
      () => ({ id: 'r99-1-1-1', tenant: 'default' }),
      404,
      'unknown_revocation',
    ],
    [
      'a restore by id of no tenant, where there are several',
      '/v1/revocations/restore',
      () => ({ id: 'r0-1-1-1' }),
      400,
      'invalid_request',
    ],
    ['a token of garbage', '/v1/tokens', () => ({ token: 'a.b.c' }), 400, 'token_malformed'],
    [
      'a token over 16 KiB',
      '/v1/tokens',
      () => ({ token: sign({ x: 'y'.repeat(17_000) }) }),
      400,
      'token_too_large',
    ],
    [
      'alg none',
      '/v1/tokens',
      () => ({
        token: jwt.sign({ jti: 'j', iss: ISSUER, exp: now() + 60 }, '', { algorithm: 'none' }),
      }),
      400,
      'token_malformed',
    ],
    [
      'another issuer',
      '/v1/tokens',
      () => ({ token: sign({ iss: 'https://evil.example' }) }),
      400,
      'token_wrong_issuer',
    ],
    [
      'another signer',
      '/v1/tokens',
      () => ({ token: sign({}, { key: stranger }) }),
      400,
      'token_signature_invalid',
    ],
    [
      'an unknown kid',
      '/v1/tokens',
      () => ({ token: sign({}, { keyid: 'k2' }) }),
      400,
      'token_unknown_key',
    ],
    [
      'an expired token',
      '/v1/tokens',
      () => ({ token: sign({ iat: now() - 100, exp: now() - 1 }) }),
      400,
      'token_expired',
    ],
    [
      'a token without jti',
      '/v1/tokens',
      () => ({ token: sign({ jti: undefined }) }),
      400,
      'token_claims_invalid',
    ],
    [
      'a token that lives too long',
      '/v1/tokens',
      () => ({ token: sign({ exp: now() + 90_000 }) }),
      400,
      'token_too_long_lived',
    ],
    [
      'a token where no key is configured',
      '/v1/tokens',
      () => ({ token: sign({}), tenant: 'keyless' }),
      400,
      'no_verification_key',
    ],
    [
      'claims without jti',
      '/v1/tokens',
      () => ({ claims: { exp: now() + 60 } }),
      400,
      'token_claims_invalid',
    ],
    [
      'claims without exp',
      '/v1/tokens',
      () => ({ claims: { jti: 'a' } }),
      400,
      'token_claims_invalid',
    ],
    [
      'an exp in ms',
      '/v1/tokens',
      () => claims({ exp: Date.now() + 60_000 }),
      400,
      'token_claims_invalid',
    ],
    ['an exp of 1e20', '/v1/tokens', () => claims({ exp: 1e20 }), 400, 'token_claims_invalid'],
    ['a negative exp', '/v1/tokens', () => claims({ exp: -5 }), 400, 'token_claims_invalid'],
    [
      'an exp as text',
      '/v1/tokens',
      () => claims({ exp: '9999999999' }),
      400,
      'token_claims_invalid',
    ],
    [
      'an exp too far away',
      '/v1/tokens',
      () => claims({ exp: now() + 90_000 }),
      400,
      'token_too_long_lived',
    ],
    ['a numeric jti', '/v1/tokens', () => claims({ jti: 5 }), 400, 'token_claims_invalid'],
    [
      'a jti of 10 kB',
      '/v1/tokens',
      () => claims({ jti: 'x'.repeat(10_000) }),
      400,
      'token_claims_invalid',
    ],
    [
      'a control character in sub',
      '/v1/tokens',
      () => claims({ sub: 'a\u0000' }),
      400,
      'token_claims_invalid',
    ],
    ['an empty list of tokens', '/v1/tokens', () => [], 400, 'invalid_request'],
    ['a check without claims', '/v1/check', () => ({}), 400, 'invalid_request'],
    ['a path there is not', '/v1/nothing', () => ({}), 404, 'not_found'],
  ]
  for (const [title, path, body, status, code] of refused) {
    it(`refuses ${title}`, async () => {
      const answer = await post(path, body())
      expect([answer.status, answer.body['code']]).to.deep.equal([status, code])
      expect(answer.headers.get('content-type')).to.match(/^application.problem.json/)
      expect(answer.body['detail']).to.be.a('string').and.match(/\S{3}/)
    })
  }

  it('takes ids with colons, braces, stars and quotes as they are', async () => {
    const jti = 'a:b{c}*"d"\\e'
    const token = { ...oldToken(), jti }
    expect((await post('/v1/tokens', { claims: { jti, exp: now() + 60 } })).status).to.equal(201)
    expect((await post('/v1/revocations', { match: { jti } })).status).to.equal(201)
    expect((await post('/v1/check', { claims: token })).body['code']).to.equal('revoked')
    const rule = await get(`/v1/revocations?jti=${encodeURIComponent(jti)}`)
    expect((rule.body['rule'] as { match: unknown }).match).to.deep.equal({ jti })
  })

  it('says nothing of the store when another content type comes', async () => {
    const answer = await call(notifier, system.apiKey, '/v1/revocations', '<xml/>', {
      'content-type': 'text/xml',
    })
    expect([answer.status, answer.body['code']]).to.deep.equal([415, 'unsupported_media_type'])
  })

  it('refuses bytes that are not UTF-8, so that no other value than the caller’s is revoked', async () => {
    const send = async (body: Buffer, type: string): Promise<unknown> => {
      const response = await fetch(`${notifier.url}/v1/revocations`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${system.apiKey}`,
          'content-type': type,
          connection: 'close',
        },
        body,
      })
      return ((await response.json()) as { code: unknown }).code
    }
    const broken = Buffer.from('{"match":{"sub":"m\u00fcller"}}', 'latin1')
    expect(await send(broken, 'application/json')).to.equal('invalid_json')
    expect(await send(broken, 'application/json; charset=latin1')).to.equal(
      'unsupported_media_type',
    )
    expect(await send(Buffer.from('{}'), 'text/plain')).to.equal('unsupported_media_type')
  })

  it('registers the good tokens of a list and names the bad ones by index', async () => {
    const items = [
      claims({ jti: 'ok-1' }),
      { claims: {} },
      { token: 'x' },
      claims({ jti: 'ok-2' }),
      5,
    ]
    const answer = await post('/v1/tokens', items)
    expect(answer.status).to.equal(201)
    expect(answer.body['registered']).to.equal(2)
    const rejected = answer.body['rejected'] as { index: number; code: string }[]
    expect(rejected.map(({ index, code }) => [index, code])).to.deep.equal([
      [1, 'token_claims_invalid'],
      [2, 'token_malformed'],
      [4, 'invalid_request'],
    ])
  })

  it('registers the good lines of a bulk upload of any length and lists the bad by line', async function () {
    this.timeout(180_000)
    const lines = 200_000
    const bad = new Map([
      [7, 'not json'],
      [1000, '{"claims":{}}'],
      [1001, `{"claims":{"jti":"${'x'.repeat(70_000)}"}}`],
      [lines, '{"claims":{"jti":"late","exp":1}}'],
    ])
    const exp = now() + 3600
    const answer = await new Promise<Record<string, unknown>>((resolve, reject) => {
      const url = new URL('/v1/tokens', notifier.url)
      const headers = {
        authorization: `Bearer ${system.apiKey}`,
        'content-type': 'application/x-ndjson',
      }
      const sent = request(url, { method: 'POST', headers, agent: false }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve(JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>),
        )
      })
      sent.on('error', reject)
      let line = 0
      const write = (): void => {
        while (line < lines) {
          line += 1
          const text =
            bad.get(line) ?? `{"claims":{"jti":"bulk-${line}","exp":${exp + (line % 3600)}}}`
          if (!sent.write(`${text}\n`)) {
            sent.once('drain', write)
            return
          }
        }
        sent.end()
      }
      write()
    })
    expect(answer['registered']).to.equal(lines - bad.size)
    const rejected = answer['rejected'] as { line: number; code: string }[]
    expect(rejected.map(({ line, code }) => [line, code])).to.deep.equal([
      [7, 'invalid_json'],
      [1000, 'token_claims_invalid'],
      [1001, 'body_too_large'],
      [lines, 'token_expired'],
    ])
  })

  it('reads a signed token in place of a match, verified, for its jti and exp', async () => {
    const exp = now() + 500
    const answer = await post('/v1/revocations', {
      token: sign({ jti: 'signed', exp }),
      reason: 'logout',
    })
    expect(answer.body).to.include({ issuedBefore: null, until: exp + 60 })
    const forged = await post('/v1/revocations', {
      token: sign({ jti: 'forged' }, { key: stranger }),
    })
    expect(forged.body['code']).to.equal('token_signature_invalid')
    const old = await post('/v1/revocations', { token: sign({ iat: 1, exp: now() - 5 }) })
    expect(old.status).to.equal(201)
  })

  it('reads a token unverified, and does not trust its exp, where no key is configured', async () => {
    const token = sign({ jti: 'unverified', exp: now() + 5 }, { key: stranger })
    const answer = await post('/v1/revocations', { token, tenant: 'keyless' })
    expect(answer.status).to.equal(201)
    expect(answer.body['until']).to.be.within(now() + 86_400, now() + 86_400 + 61)
  })

  it('finds the tenant of a token by its issuer', async () => {
    const answer = await post('/v1/revocations', { token: sign({ jti: 'of-other', iss: OTHER }) })
    expect(answer.status).to.equal(201)
    const asked = { claims: { ...oldToken(), exp: now() + 60, jti: 'of-other' } }
    expect((await post('/v1/check', { ...asked, tenant: 'default' })).body['active']).to.equal(true)
    const there = { claims: { jti: 'of-other', iat: now() - 5, exp: now() + 60 }, tenant: 'other' }
    expect((await post('/v1/check', there)).body['code']).to.equal('revoked')
  })

  it('keeps tenants apart', async () => {
    await post('/v1/revocations', { match: { sub: 'shared-name' }, tenant: 'other' })
    const here = await get('/v1/revocations?sub=shared-name')
    expect(here.body['rule']).to.equal(null)
    const there = await get('/v1/revocations?sub=shared-name&tenant=other')
    expect(there.body['rule']).to.be.an('object')
  })

  it('asks for a key, and gives each only its scopes and tenants', async () => {
    const match = { sub: 'a' }
    expect((await post('/v1/revocations', { match }, 'wrong-secret-00000')).status).to.equal(401)
    const none = await fetch(`${notifier.url}/v1/feed`, { headers: { connection: 'close' } })
    expect([none.status, none.headers.get('www-authenticate')]).to.deep.equal([
      401,
      'Bearer realm="knell"',
    ])
    await none.body?.cancel()
    expect((await post('/v1/revocations', { match }, 'reader-secret-0123')).body['code']).to.equal(
      'forbidden',
    )
    expect((await post('/v1/revocations', { match }, 'writer-secret-0123')).status).to.equal(201)
    for (const mass of [{ client_id: 'web' }, { kid: 'k1' }, { kid: 'k1', sub: 'a' }, {}]) {
      const answer = await post(
        '/v1/revocations',
        { match: mass, issuedBefore: 5 },
        'writer-secret-0123',
      )
      expect(answer.body['code']).to.equal('forbidden')
    }
    expect((await post('/v1/tokens', claims(), 'writer-secret-0123')).body['code']).to.equal(
      'forbidden',
    )
    expect(
      (await post('/v1/revocations', { match }, 'only-other-secret-01')).body['code'],
    ).to.equal('forbidden')
    const unseen = await post(
      '/v1/revocations',
      { match, tenant: 'nobody' },
      'only-other-secret-01',
    )
    expect(unseen.body['code']).to.equal('forbidden')
    expect(
      (await post('/v1/revocations', { match, tenant: 'other' }, 'only-other-secret-01')).status,
    ).to.equal(201)
    expect((await get('/v1/sweeps', 'reader-secret-0123')).body['code']).to.equal('forbidden')
    expect((await get('/v1/feed', 'reader-secret-0123')).status).to.equal(200)
  })

  it('lists live rules page by page, and no restored ones', async () => {
    for (let i = 0; i < 30; i++) await post('/v1/revocations', { match: { sub: `page-${i}` } })
    await post('/v1/revocations/restore', { match: { sub: 'page-0' } })
    const seen = new Set<string>()
    let cursor = ''
    do {
      const { body } = await get(`/v1/revocations?limit=5${cursor}`)
      for (const { match } of body['rules'] as { match: { sub?: string } }[])
        seen.add(String(match.sub))
      cursor =
        body['next'] === undefined ? '' : `&cursor=${JSON.stringify(body['next']).slice(1, -1)}`
    } while (cursor !== '')
    for (let i = 1; i < 30; i++) expect(seen.has(`page-${i}`), `page-${i}`).to.equal(true)
    expect(seen.has('page-0')).to.equal(false)
  })

  it('judges like a view: times, rules, audiences, and the need for a header', async () => {
    const check = async (more: object, header?: object): Promise<unknown> =>
      (await post('/v1/check', { tenant: 'keyless', claims: { ...oldToken(), ...more }, header }))
        .body['code']
    await post('/v1/revocations', { tenant: 'keyless', match: { aud: 'api', sub: 'dave' } })
    await post('/v1/revocations', { tenant: 'keyless', match: { dept: 7 } })
    expect(await check({})).to.equal('active')
    expect(await check({ exp: now() - 1 })).to.equal('expired')
    expect(await check({ iat: undefined })).to.equal('iat_required')
    expect(await check({ exp: now() + 90_000 })).to.equal('token_too_long_lived')
    expect(await check({ sub: 'dave', aud: ['web', 'api'] })).to.equal('revoked')
    expect(await check({ sub: 'dave', aud: 'web' })).to.equal('active')
    expect(await check({ dept: 7 })).to.equal('revoked')
    expect(await check({ dept: '7' })).to.equal('active')
    await post('/v1/revocations', { tenant: 'keyless', match: { kid: 'stolen' } })
    expect(await check({})).to.equal('header_needed')
    expect(await check({}, { kid: 'stolen' })).to.equal('revoked')
    expect(await check({}, { kid: 'good' })).to.equal('active')
    await post('/v1/revocations/restore', { tenant: 'keyless', match: { kid: 'stolen' } })
    expect(await check({})).to.equal('active')
    await post('/v1/revocations', { tenant: 'keyless', match: { kid: 'old', sub: 'erin' } })
    expect(await check({ sub: 'erin' })).to.equal('header_needed')
    expect(await check({ sub: 'frank' })).to.equal('active')
    expect(await check({ sub: 'erin' }, { kid: 'old' })).to.equal('revoked')
  })

  it('answers a long poll as soon as something is committed, by this process or another', async () => {
    const { body } = await call(poller, system.apiKey, '/v1/feed')
    const after = (body['tails'] as { epoch: string; seq: number }[])
      .map(({ epoch, seq }) => `${epoch.split('.')[0]}-${seq}`)
      .join(',')
    const started = performance.now()
    const polls = [notifier, poller].map((process) =>
      call(process, system.apiKey, `/v1/feed?after=${after}&waitMs=15000`),
    )
    await post('/v1/revocations', { match: { sub: 'long-polled' } })
    for (const answer of await Promise.all(polls)) {
      expect(JSON.stringify(answer.body['entries'])).to.contain('long-polled')
    }
    expect(performance.now() - started).to.be.lessThan(10_000)
  })

  it('refuses positions of another form and number', async () => {
    for (const after of ['x', '1-1', '1-1,1-1,1-1,y', '1-1,1-1,1-1,1-1,1-1']) {
      expect((await get(`/v1/feed?after=${after}`)).body['code']).to.equal('invalid_position')
    }
    expect((await get('/v1/feed?waitMs=999999999')).body['code']).to.equal('invalid_request')
    expect((await get('/v1/feed?after=1-1,1-1,1-1,1-1&colour=red')).body['code']).to.equal(
      'invalid_request',
    )
  })

  it('changes how long tokens may live by command: shorter at once, longer later', async () => {
    const put = async (maxTokenTtl: string): Promise<{ from: number; seconds: number }[]> => {
      const response = await fetch(`${notifier.url}/v1/max-token-ttl`, {
        method: 'PUT',
        headers: {
          authorization: `Bearer ${system.apiKey}`,
          'content-type': 'application/json',
          connection: 'close',
        },
        body: JSON.stringify({ tenant: 'other', maxTokenTtl }),
      })
      const body = (await response.json()) as { maxTokenTtl: { from: number; seconds: number }[] }
      return body.maxTokenTtl
    }
    const longer = await put('2h')
    expect(longer.at(-1)?.seconds).to.equal(7200)
    expect(Number(longer.at(-1)?.from) - now()).to.be.within(3655, 3665)
    const shorter = await put('30m')
    expect(shorter.at(-1)?.seconds).to.equal(1800)
    expect(Number(shorter.at(-1)?.from) - now()).to.be.within(-5, 5)
  })

  it('reads its file of API keys again when it changes', async () => {
    const path = join(folder, 'keys.txt')
    await writeFile(path, 'one=first-secret-0123:feed:read\n')
    const process = await system.start('poller', { API_KEYS: '', API_KEYS_FILE: path })
    const status = async (secret: string): Promise<number> =>
      (await call(process, secret, '/v1/feed')).status
    expect([await status('first-secret-0123'), await status('second-secret-012')]).to.deep.equal([
      200, 401,
    ])
    await writeFile(path, 'two=second-secret-012:feed:read\n')
    await eventually(async () => (await status('second-secret-012')) === 200, {
      what: 'the new key',
      // Not so often that the failures are too many.
      intervalMs: 600,
    })
    expect(await status('first-secret-0123')).to.equal(401)
  })

  it('tells its health without a key', async () => {
    for (const path of ['/livez', '/readyz']) {
      const response = await fetch(notifier.url + path, { headers: { connection: 'close' } })
      expect(response.status).to.equal(200)
      await response.body?.cancel()
    }
  })
})
