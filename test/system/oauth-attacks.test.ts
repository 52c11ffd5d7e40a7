import { expect } from 'chai'
import { createPublicKey, generateKeyPairSync, randomUUID, type JsonWebKey } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { readUnverified } from '../../shared/tokens/read-unverified.ts'
import { forge, hmacBy, partOf, signedBy, unsigned, type Part } from '../support/forged-token.ts'
import {
  basicOf,
  ISSUER,
  oauthSystem,
  OTHER_ISSUER,
  postForm,
  secrets,
  type OAuthSystem,
} from '../support/oauth.ts'
import { call, now } from '../support/system.ts'

const all = basicOf('all', secrets.all)
const web = basicOf('web', secrets.web)
const ec = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

describe('Attacks on the calls of OAuth (RFC 8725)', function () {
  this.timeout(60_000)
  /** Keys of the tenants that we have, beside those of their rings; and one of nobody’s. */
  const [own, foreign, stranger] = [ec(), ec(), ec()]
  const strangeRsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  let system: OAuthSystem
  let notifier: KnellProcess
  /** The ring's own keys, each by its algorithm, with a token that it has signed. */
  const ring = new Map<string, { kid: string; token: string; jwk: JsonWebKey | undefined }>()

  before(async () => {
    system = oauthSystem({ LOG_LEVEL: 'trace' })
    const jwk = (keys: typeof own, kid: string): object => ({
      ...keys.publicKey.export({ format: 'jwk' }),
      kid,
      alg: 'ES256',
    })
    const tenants = {
      default: { issuer: ISSUER, keys: { keys: [jwk(own, 'own')] } },
      other: { issuer: OTHER_ISSUER, keys: { keys: [jwk(foreign, 'foreign')] } },
    }
    const tenantsFile = join(system.folder, 'attacked.json')
    writeFileSync(tenantsFile, JSON.stringify(tenants))
    for (const alg of ['RS256', 'HS256', 'ES256']) {
      notifier = await system.start('notifier', { TENANTS_FILE: tenantsFile, ISSUER_ALG: alg })
      // The next key is of the algorithm before; the one after that is of this one.
      for (let i = 0; i < 2; i++) {
        const rotated = await call(notifier, system.apiKey, '/v1/keys/rotate', { force: true })
        expect(rotated.status, JSON.stringify(rotated.body)).to.equal(200)
      }
      const token = await login()
      const kid = String(readUnverified(token).header['kid'])
      const { body } = await call(notifier, system.apiKey, '/.well-known/jwks.json')
      const found = (body['keys'] as JsonWebKey[]).find((key) => key['kid'] === kid)
      ring.set(alg, { kid, token, jwk: found })
    }
  })
  after(() => system?.stop())

  const login = async (more: object = {}): Promise<string> => {
    const grant = { sub: 'alice', client_id: 'web', aud: 'api', refresh: false, ...more }
    const { status, body } = await call(notifier, system.apiKey, '/v1/sessions', grant)
    expect(status, JSON.stringify(body)).to.equal(201)
    return String(body['access_token'])
  }
  const claims = (more: object = {}) => ({
    iss: ISSUER,
    sub: 'alice',
    client_id: 'web',
    aud: 'api',
    jti: randomUUID(),
    iat: now() - 5,
    exp: now() + 600,
    ...more,
  })
  const header = (more: object = {}) => ({ alg: 'ES256', typ: 'at+jwt', kid: 'own', ...more })
  const good = (payload: Part = claims(), more: object = {}): string =>
    forge(header(more), payload, signedBy(own.privateKey))

  const introspect = (token: string) => postForm(notifier, '/oauth/introspect', { token }, all)
  const isActive = async (token: string): Promise<unknown> =>
    (await introspect(token)).body['active']

  /** Neither call takes the token for one: each answers as for any text, and nothing is revoked. */
  async function expectNobody(token: string, what: string): Promise<void> {
    const asked = await introspect(token)
    expect([asked.status, asked.body], what).to.deep.equal([200, { active: false }])
    const ended = await postForm(notifier, '/oauth/revoke', { token }, web)
    expect([ended.status, ended.text], what).to.deep.equal([200, ''])
  }
  const rules = async (): Promise<string> =>
    JSON.stringify(
      (await call(notifier, system.apiKey, '/v1/revocations?limit=1000')).body['rules'],
    )
  const of = (alg: string) => {
    const found = ring.get(alg)
    if (found === undefined) throw new Error(`The ring has no key of ${alg}.`)
    return found
  }

  it('begin from tokens that are good: by each algorithm of the ring, and by a key of the settings', async () => {
    expect([...ring.values()].map(({ jwk }) => jwk?.kty)).to.deep.equal(['RSA', undefined, 'EC'])
    for (const [alg, { token }] of ring) {
      expect(readUnverified(token).header['alg']).to.equal(alg)
      expect(await isActive(token), alg).to.equal(true)
    }
    expect(await isActive(good())).to.equal(true)
    expect(await isActive(good(claims(), { typ: 'application/AT+JWT' }))).to.equal(true)
  })

  it('with no signature, or an algorithm of that name', async () => {
    const before = await rules()
    for (const alg of [
      'none',
      'None',
      'NONE',
      'nOnE',
      '',
      'HS256 ',
      'hs256',
      null,
      0,
      ['HS256'],
      {},
    ]) {
      for (const kid of ['own', of('ES256').kid, of('HS256').kid, undefined]) {
        const token = forge({ alg, typ: 'at+jwt', kid }, claims(), unsigned)
        await expectNobody(token, `${JSON.stringify(alg)} ${kid}`)
      }
    }
    expect(await rules()).to.equal(before)
  })

  it('with a public key of the ring for an HMAC secret', async () => {
    const before = await rules()
    for (const alg of ['RS256', 'ES256']) {
      const { kid, jwk = {} } = of(alg)
      const key = createPublicKey({ key: jwk, format: 'jwk' })
      const pem = String(key.export({ type: 'spki', format: 'pem' }))
      const texts: (string | Buffer)[] = [
        pem,
        pem.trimEnd(),
        pem.replaceAll('\n', '\r\n'),
        key.export({ type: 'spki', format: 'der' }),
        JSON.stringify(jwk),
        Buffer.from(String(jwk.n ?? jwk.x), 'base64url'),
        kid,
        '',
      ]
      for (const [i, secret] of texts.entries()) {
        for (const name of [kid, of('HS256').kid, 'own', undefined]) {
          const token = forge({ alg: 'HS256', typ: 'at+jwt', kid: name }, claims(), hmacBy(secret))
          await expectNobody(token, `${alg} ${i} ${name}`)
        }
      }
    }
    expect(await rules()).to.equal(before)
  })

  it('with a key of the ring named for another algorithm than its own', async () => {
    for (const [alg, { kid }] of ring) {
      for (const other of [
        'ES256',
        'RS256',
        'PS256',
        'RS384',
        'HS256',
        'HS512',
        'EdDSA',
        'ES384',
      ]) {
        const by = other.startsWith('RS') ? strangeRsa.privateKey : stranger.privateKey
        const forged = forge({ alg: other, typ: 'at+jwt', kid }, claims(), signedBy(by))
        await expectNobody(forged, `${alg} as ${other}`)
        const [, payload = '', signature = ''] = of(alg).token.split('.')
        if (other === alg) continue
        const swapped = `${partOf({ alg: other, typ: 'at+jwt', kid })}.${payload}.${signature}`
        await expectNobody(swapped, `${alg} swapped for ${other}`)
      }
    }
  })

  it('with the key of another tenant, under either issuer', async () => {
    const by = signedBy(foreign.privateKey)
    const theirs = forge(header({ kid: 'foreign' }), claims({ iss: OTHER_ISSUER }), by)
    const foreigner = basicOf('foreign', secrets.foreign)
    const asked = await postForm(notifier, '/oauth/introspect', { token: theirs }, foreigner)
    expect(asked.body['active']).to.equal(true)
    await expectNobody(theirs, 'their issuer')
    await expectNobody(forge(header({ kid: 'foreign' }), claims(), by), 'our issuer, their kid')
    await expectNobody(forge(header(), claims(), by), 'our issuer and kid')
    const { kid } = of('ES256')
    await expectNobody(forge(header({ kid }), claims(), by), 'a kid of our ring')
    const wrong = good(claims({ iss: OTHER_ISSUER }))
    await expectNobody(wrong, 'our key, their issuer')
    const answer = await postForm(notifier, '/oauth/introspect', { token: wrong }, foreigner)
    expect(answer.body).to.deep.equal({ active: false })
  })

  it('with a kid that is a path, a query, a URL, a name of JavaScript’s, or no text', async () => {
    const kids: unknown[] = [
      '../../../../dev/null',
      '/etc/passwd',
      "' OR '1'='1",
      'own\u0000',
      'own ',
      'OWN',
      '__proto__',
      'constructor',
      'toString',
      'http://127.0.0.1/jwks.json',
      'x'.repeat(129),
      '',
      1,
      true,
      null,
      ['own'],
      { own: 1 },
    ]
    for (const kid of kids) {
      const what = JSON.stringify(kid)
      for (const secret of ['', '\u0000', 'undefined', '[object Object]']) {
        const token = forge({ alg: 'HS256', typ: 'at+jwt', kid }, claims(), hmacBy(secret))
        await expectNobody(token, what)
      }
      await expectNobody(good(claims(), { kid }), `${what}, signed`)
    }
  })

  it('with a header that brings or points to a key: nothing is fetched', async () => {
    const asked: string[] = []
    const server: Server = createServer((request, response) => {
      asked.push(String(request.url))
      response.end('{}')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
      const jwk = stranger.publicKey.export({ format: 'jwk' })
      const x5c = [stranger.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')]
      for (const more of [
        { jwk },
        { jku: url },
        { x5u: url },
        { x5c },
        { jwk, jku: url, x5u: url },
      ]) {
        for (const kid of ['own', 'mine', undefined]) {
          const token = forge(header({ ...more, kid }), claims(), signedBy(stranger.privateKey))
          await expectNobody(token, Object.keys(more).join())
        }
      }
      expect(asked).to.deep.equal([])
    } finally {
      server.close()
    }
  })

  it('with critical extensions, or as a token of another kind', async () => {
    const headers: object[] = [
      { crit: ['exp'] },
      { crit: [] },
      { b64: false, crit: ['b64'] },
      { b64: true },
      { typ: 'logout+jwt' },
      { typ: 'secevent+jwt' },
      { typ: 'application/secevent+jwt' },
      { typ: 'dpop+jwt' },
      { typ: 'statuslist+jwt' },
      { typ: 'at+jwt ' },
      { typ: '' },
      { typ: 7 },
      { typ: null },
    ]
    for (const more of headers) await expectNobody(good(claims(), more), JSON.stringify(more))
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
    for (const typ of ['JWT', 'at+jwt', undefined]) {
      await expectNobody(good(claims({ events }), { typ }), `events in ${typ}`)
    }
  })

  it('in a form that is none: other numbers of parts, other spellings, other signatures', async () => {
    const token = good()
    const [head = '', payload = '', signature = ''] = token.split('.')
    const raw = Buffer.from(signature, 'base64url')
    const texts = [
      'x',
      '.',
      '..',
      '....',
      `${head}.${payload}`,
      `${head}.${payload}.`,
      `${token}.${signature}`,
      `${head}.${payload}.${signature}.${payload}.${signature}`,
      ` ${token}`,
      `${token}\n`,
      `${token}=`,
      `${token}AA`,
      token.slice(0, -2),
      `${head}.${payload}=.${signature}`,
      `${head}.${payload.toLowerCase()}.${signature}`,
      `${head}.${payload}.${raw.toString('base64')}`,
      `${head}.${payload}.${Buffer.from(raw.toReversed()).toString('base64url')}`,
      `${head}.${payload}.${Buffer.alloc(64).toString('base64url')}`,
      `Bearer ${token}`,
      JSON.stringify({ token }),
      `${partOf({ alg: 'dir', enc: 'A128GCM', zip: 'DEF' })}..AAAA.AAAA.AAAA`,
      'é'.repeat(100),
      '\u0000',
      `kr1.${'A'.repeat(22)}.1.${'A'.repeat(43)}`,
      `kr1.${'A'.repeat(22)}.999999999.${'A'.repeat(43)}`,
      'kr1...',
    ]
    for (const text of texts) await expectNobody(text, text.slice(0, 60))
    expect(await isActive(token)).to.equal(true)
  })

  it('that are large: refused before they are read, and a body past its bound not taken', async () => {
    for (const size of [17_000, 20_000]) {
      await expectNobody(good(claims({ x: 'x'.repeat(size) })), `${size}`)
    }
    for (const path of ['/oauth/introspect', '/oauth/revoke', '/oauth/token']) {
      const { status, body } = await postForm(notifier, path, { token: 'x'.repeat(40_000) }, all)
      expect([status, body['error']]).to.deep.equal([413, 'invalid_request'])
    }
  })

  it('with payloads that are no claims, poison a prototype, or have times and names that cannot be', async () => {
    const text = (more: string): string => JSON.stringify(claims()).replace(/\}$/, `,${more}}`)
    const payloads: Part[] = [
      '"text"',
      '[]',
      'null',
      '1',
      '{',
      '',
      text('"__proto__":{"client_id":"web"}'),
      text('"exp":1e400'),
      '\ufeff{}',
    ]
    for (const exp of [
      undefined,
      null,
      '9999999999',
      -1,
      0,
      1,
      1e20,
      2 ** 53,
      2 ** 33,
      true,
      [1],
      now() + 90_000,
    ]) {
      payloads.push(claims({ exp }))
    }
    for (const iat of [undefined, null, 'x', -5, 1e20, now() + 120]) payloads.push(claims({ iat }))
    for (const nbf of ['x', -1, now() + 60, null]) payloads.push(claims({ nbf }))
    const names = [7, null, '', 'x'.repeat(257), 'a\nb', 'a\u0000b', ['a'], { a: 1 }, '\ud800']
    for (const name of ['jti', 'sub', 'sid', 'client_id']) {
      for (const value of names) payloads.push(claims({ [name]: value }))
    }
    for (const aud of [
      1,
      null,
      {},
      [1],
      ['api', null],
      Array.from({ length: 17 }, (_, i) => `a${i}`),
    ]) {
      payloads.push(claims({ aud }))
    }
    for (const iss of [undefined, null, `${ISSUER}/`, ISSUER.toUpperCase(), [ISSUER]]) {
      payloads.push(claims({ iss }))
    }
    for (const payload of payloads) {
      const { status, body } = await introspect(good(payload))
      expect([status, body], JSON.stringify(payload)).to.deep.equal([200, { active: false }])
      const ended = await postForm(notifier, '/oauth/revoke', { token: good(payload) }, web)
      expect(ended.status, JSON.stringify(payload)).to.equal(200)
    }
  })

  it('with a member twice: the last counts, for both calls', async () => {
    const twice = (name: string, first: unknown, last: unknown): string =>
      good(
        JSON.stringify(claims({ [name]: last })).replace(
          '{',
          `{${JSON.stringify(name)}:${JSON.stringify(first)},`,
        ),
      )
    const web1 = twice('client_id', 'app', 'web')
    expect((await introspect(web1)).body).to.include({ active: true, client_id: 'web' })
    await postForm(notifier, '/oauth/revoke', { token: web1, client_id: 'app' })
    expect(await isActive(web1)).to.equal(true)
    await postForm(notifier, '/oauth/revoke', { token: web1 }, web)
    expect(await isActive(web1)).to.equal(false)
    expect(await isActive(twice('exp', now() + 600, now() - 10))).to.equal(false)
    expect(await isActive(twice('iss', ISSUER, OTHER_ISSUER))).to.equal(false)
  })

  it('with another signature that is as good (ES256): one revocation kills both spellings', async () => {
    const N = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
    const token = await login()
    const [head = '', payload = '', signature = ''] = token.split('.')
    const raw = Buffer.from(signature, 'base64url')
    const s = BigInt(`0x${raw.subarray(32).toString('hex')}`)
    const other = Buffer.from((N - s).toString(16).padStart(64, '0'), 'hex')
    const twin = `${head}.${payload}.${Buffer.concat([raw.subarray(0, 32), other]).toString('base64url')}`
    expect([await isActive(token), await isActive(twin)]).to.deep.equal([true, true])
    await postForm(notifier, '/oauth/revoke', { token: twin }, web)
    expect([await isActive(token), await isActive(twin)]).to.deep.equal([false, false])
  })

  it('with a key that was revoked, which verifies nothing any more', async () => {
    const { kid, token } = of('HS256')
    const { status } = await call(notifier, system.apiKey, '/v1/keys/revoke', { kid })
    expect(status).to.equal(200)
    await expectNobody(token, 'its token')
  })

  it('by other methods, types and encodings, which are refused without a stack trace', async () => {
    const token = await login()
    const form = `token=${token}`
    const type = 'application/x-www-form-urlencoded'
    const cases: [RequestInit & { headers?: Record<string, string> }, number][] = [
      [{ method: 'GET' }, 405],
      [{ method: 'PUT', body: form, headers: { 'content-type': type } }, 405],
      [{ method: 'DELETE' }, 405],
      [{ method: 'POST' }, 400],
      [{ method: 'POST', body: form, headers: { 'content-type': 'text/plain' } }, 415],
      [
        {
          method: 'POST',
          body: JSON.stringify({ token }),
          headers: { 'content-type': 'application/json' },
        },
        415,
      ],
      [
        {
          method: 'POST',
          body: form,
          headers: { 'content-type': 'multipart/form-data; boundary=x' },
        },
        415,
      ],
      [{ method: 'POST', body: form, headers: { 'content-type': 'nonsense' } }, 415],
      [{ method: 'POST', body: `${form}&${form}`, headers: { 'content-type': type } }, 400],
      [{ method: 'POST', body: 'token=%', headers: { 'content-type': type } }, 400],
      [
        {
          method: 'POST',
          body: new Uint8Array([0x74, 0x3d, 0xff]),
          headers: { 'content-type': type },
        },
        400,
      ],
    ]
    for (const path of ['/oauth/introspect', '/oauth/revoke', '/oauth/token']) {
      for (const [init, status] of cases) {
        const response = await fetch(notifier.url + path, {
          ...init,
          headers: { ...(init.headers as Record<string, string>), ...all, connection: 'close' },
        })
        const text = await response.text()
        const what = `${init.method} ${path} ${JSON.stringify(init.headers)}: ${text}`
        expect(response.status, what).to.equal(status)
        expect(JSON.parse(text), what).to.have.all.keys('error', 'error_description')
        expect(text, what).not.to.match(/\.(?:ts|js):\d|node_modules|Error:/)
      }
      const query = await postForm(notifier, `${path}?token=${token}`, '', all)
      expect([query.status, query.body['error']]).to.deep.equal([400, 'invalid_request'])
    }
    expect(await isActive(token)).to.equal(true)
  })

  it('by a body that never comes, whose connection is ended', async () => {
    const socket = connect(notifier.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(
      'POST /oauth/revoke HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\ntoken=',
    )
    socket.resume()
    await once(socket, 'close')
    expect(await isActive(await login())).to.equal(true)
  })
})
