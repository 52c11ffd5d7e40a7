import { createHmac, createPublicKey, type JsonWebKey } from 'node:crypto'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { RemoteKeys, type RemoteKeysOptions } from '../../../shared/tokens/remote-keys.ts'
import { verifyFresh } from '../../../shared/tokens/verify-fresh.ts'
import { createVerifier } from '../../../shared/tokens/verifier.ts'
import { codeOf } from '../../support/code-of.ts'
import { eventually } from '../../support/eventually.ts'
import { createKey, Provider, sign, type SigningKey } from '../../support/provider.ts'
import { now } from '../../support/system.ts'
import { ec256, ec384, jwkOf, pemOf, problems, refusal, weakRsa } from './keys.ts'

describe('remote keys', () => {
  let provider: Provider
  let opened: RemoteKeys[]
  let told: string[]
  beforeEach(async () => {
    provider = await new Provider().open()
    opened = []
    told = []
  })
  afterEach(async () => {
    for (const keys of opened) keys.stop()
    await provider.close()
  })

  function remote(options: Partial<RemoteKeysOptions> = {}): RemoteKeys {
    const keys = new RemoteKeys({
      url: provider.jwksUri,
      coolDownMs: 0,
      onProblem: ({ message }) => told.push(message),
      ...options,
    })
    opened.push(keys)
    return keys
  }

  async function started(options: Partial<RemoteKeysOptions> = {}): Promise<RemoteKeys> {
    const keys = remote(options)
    await keys.start()
    return keys
  }

  const verify = async (keys: RemoteKeys, token: string): Promise<string> => {
    const verifier = createVerifier({ keys, issuer: provider.issuer })
    return String((await verifyFresh(verifier, keys, token)).claims.sub)
  }

  it('verify what the provider has signed', async () => {
    const keys = await started()
    expect(keys.hasKeys).to.equal(true)
    expect(keys.kids).to.deep.equal(['k1'])
    expect(await verify(keys, provider.token('alice'))).to.equal('alice')
  })

  it('pick up a new key, also one of another algorithm, without one refused token', async () => {
    const keys = await started()
    provider.rotate('k2', 'rsa')
    const tokens = Array.from({ length: 20 }, (_, i) => provider.token(`u${i}`))
    const subs = await Promise.all(tokens.map((token) => verify(keys, token)))
    expect(subs).to.have.length(20)
    expect(keys.kids).to.deep.equal(['k1', 'k2'])
    expect(provider.asked, 'all wait for one fetch').to.equal(2)
  })

  it('forget a key that the provider has withdrawn', async () => {
    const keys = await started({ maxAgeMs: 50 })
    const token = provider.token('alice')
    provider.rotate('k2')
    provider.published = [provider.key.jwk]
    await eventually(() => keys.kids.join() === 'k2')
    expect(await codeOf(verify(keys, token))).to.equal('token_unknown_key')
  })

  it('are fetched again when the provider says so, but not more often than it is good for', async () => {
    provider.answer = { headers: { 'cache-control': 'no-store' } }
    const keys = await started({ maxAgeMs: 60 })
    await eventually(() => provider.asked >= 3)
    keys.stop()
    const { asked } = provider
    await keys.refetch()
    expect(provider.asked, 'nothing is fetched after the stop').to.equal(asked)
  })

  it('stay while the provider is down, and are fetched when it is back', async () => {
    const keys = await started()
    await provider.close()
    expect(await codeOf(verify(keys, provider.token('x', {}, createKey('k9'))))).to.equal(
      'token_unknown_key',
    )
    expect(await verify(keys, provider.token('alice'))).to.equal('alice')
    expect(told).to.have.length(1)
    expect(told[0]).to.include('ECONNREFUSED')
    await provider.open()
    provider.rotate('k2')
    expect(await verify(keys, provider.token('bob'))).to.equal('bob')
  })

  it('are not known while the provider never answered, and come by themselves when it does', async () => {
    await provider.close()
    const keys = await started({ coolDownMs: 60 })
    expect(keys.hasKeys).to.equal(false)
    expect(await codeOf(verify(keys, provider.token('alice')))).to.equal('keys_unavailable')
    await provider.open()
    await eventually(() => keys.hasKeys)
    expect(await verify(keys, provider.token('alice'))).to.equal('alice')
  })

  it('ask the provider three times and then once in a cool-down, however many unknown keys are named', async () => {
    const keys = await started({ coolDownMs: 60_000 })
    const strangers = Array.from({ length: 50 }, (_, i) =>
      provider.token('x', {}, { ...provider.key, kid: `flood-${i}` }),
    )
    for (const token of strangers) {
      expect(await codeOf(verify(keys, token))).to.equal('token_unknown_key')
    }
    expect(provider.asked).to.equal(4)
    expect(keys.isCooling).to.equal(true)
  })

  it('do not ask for the sake of a token of another issuer, nor of one that is no token', async () => {
    const keys = await started()
    const foreign = provider.token('x', { iss: 'https://other.example' }, createKey('k9'))
    expect(await codeOf(verify(keys, foreign))).to.equal('token_unknown_key')
    expect(await codeOf(verify(keys, 'a.b.c'))).to.equal('token_malformed')
    expect(provider.asked).to.equal(1)
  })

  it('drop a key that is revoked at once, and do not take it back for as long as it is', async () => {
    const revoked = new Set<string>()
    const keys = await started({ isRevoked: (kid) => revoked.has(kid) })
    const token = provider.token('alice')
    const nameless = sign(
      { iss: provider.issuer, sub: 'bob', exp: now() + 60 },
      { ...provider.key, kid: undefined as unknown as string },
    )
    expect(await verify(keys, nameless)).to.equal('bob')
    revoked.add('k1')
    expect(keys.kids).to.deep.equal([])
    for (const one of [token, nameless]) {
      expect(await codeOf(verify(keys, one))).to.equal('token_unknown_key')
    }
    await keys.refetch()
    expect(await codeOf(verify(keys, token))).to.equal('token_unknown_key')
    provider.rotate('k2')
    expect(await verify(keys, provider.token('carol'))).to.equal('carol')
    revoked.clear()
    expect(await verify(keys, token)).to.equal('alice')
  })

  describe('of a poisoned set', () => {
    const bad: readonly (readonly [string, JsonWebKey])[] = [
      ['is a secret', { kty: 'oct', k: 'c'.repeat(43), kid: 'oct', alg: 'HS256' }],
      ['is a secret', { ...jwkOf(ec256.publicKey), k: 'c'.repeat(43), kid: 'k' }],
      ['private part', jwkOf(ec256.privateKey, { kid: 'private' })],
      ['1024 bits', jwkOf(weakRsa.publicKey, { kid: 'weak' })],
      ['"alg"', jwkOf(ec256.publicKey, { kid: 'none', alg: 'none' })],
      ['not for HS256', jwkOf(ec256.publicKey, { kid: 'hs', alg: 'HS256' })],
      ['none of the accepted', jwkOf(ec384.publicKey, { kid: 'es384' })],
      ['not a readable', { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'off' }],
      ['"kty"', { kty: 'OKP', crv: 'Ed25519', x: 'AA', kid: 'okp' }],
      ['"use"', jwkOf(ec256.publicKey, { kid: 'enc', use: 'enc' })],
      ['"kid"', jwkOf(ec256.publicKey, { kid: '../../etc/passwd' })],
      ['again', jwkOf(ec256.publicKey, { kid: 'k1' })],
    ]
    for (const [why, jwk] of bad) {
      it(`a key with the problem ${JSON.stringify(why)} is passed over with a warning, and the others are good`, async () => {
        provider.published = [provider.key.jwk, jwk]
        const keys = await started({ algorithms: ['ES256', 'RS256'] })
        expect(await verify(keys, provider.token('alice'))).to.equal('alice')
        expect(keys.kids).to.deep.equal(['k1'])
        expect(told.join()).to.include('key 2').and.include(why)
      })
    }

    it('nothing is kept but the last good one', async () => {
      const keys = await started()
      for (const body of [
        '{"keys":[]}',
        '{"keys":[null]}',
        '{"keys":{}}',
        '{}',
        'null',
        'not JSON',
        '',
        JSON.stringify({ keys: bad.slice(0, 4).map(([, jwk]) => jwk) }),
        `{"keys":[${'['.repeat(5000)}${']'.repeat(5000)}]}`,
        JSON.stringify({ keys: [provider.key.jwk], pad: 'x'.repeat(200_000) }),
      ]) {
        provider.answer = { body }
        expect(await keys.refetch(), body.slice(0, 40)).to.equal(false)
        expect(await verify(keys, provider.token('alice'))).to.equal('alice')
      }
    })

    it('of a set of 400 keys the first hundred count', async () => {
      const { jwk } = provider.key
      provider.published = Array.from({ length: 400 }, (_, i) => ({ ...jwk, kid: `k${i}` }))
      const keys = await started()
      expect(keys.kids).to.have.length(100)
    })
  })

  it('an answer that never ends, or a provider that says nothing, is given up in time', async () => {
    const server = createServer((request, response) => {
      if (request.url === '/drip') {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.write('{"keys":[')
      }
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    for (const path of ['drip', 'silent']) {
      const keys = remote({ url: `http://127.0.0.1:${port}/${path}`, timeoutMs: 100 })
      await keys.start()
      expect(keys.hasKeys).to.equal(false)
      keys.stop()
    }
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })

  it('a redirect is not followed, wherever it leads', async () => {
    const other = await new Provider().open()
    provider.answer = { status: 302, headers: { location: other.jwksUri }, body: '' }
    const keys = await started()
    expect(keys.hasKeys).to.equal(false)
    expect(other.asked).to.equal(0)
    await other.close()
  })

  it('a URL that is not safe is refused', () => {
    for (const url of [
      'http://idp.example/jwks',
      'http://127.0.0.1.evil.example/jwks',
      'https://user:secret@idp.example/jwks',
      'file:///etc/passwd',
      'ftp://127.0.0.1/jwks',
      'not a URL',
    ]) {
      refusal('config_invalid', () => new RemoteKeys({ url }))
    }
    for (const url of ['https://idp.example/jwks', 'http://[::1]:1/', 'http://localhost:1/']) {
      expect(new RemoteKeys({ url }).hasKeys).to.equal(false)
    }
  })

  describe('against RFC 8725', () => {
    const forge = (header: object, payload: object, secret: string | Buffer): string => {
      const part = (value: object): string =>
        Buffer.from(JSON.stringify(value)).toString('base64url')
      const input = `${part(header)}.${part(payload)}`
      return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
    }
    const claims = () => ({ iss: provider.issuer, sub: 'mallory', exp: now() + 60 })

    it('a public RSA key of the set is no HMAC secret, in whatever form', async () => {
      const key: SigningKey = createKey('r1', 'rsa')
      provider.published = [key.jwk]
      const keys = await started()
      const publicKey = createPublicKey(key.privateKey)
      const forms = [
        pemOf(publicKey),
        pemOf(publicKey).trim(),
        publicKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
        publicKey.export({ type: 'spki', format: 'der' }),
        JSON.stringify(key.jwk),
        Buffer.from(String(key.jwk.n), 'base64url'),
      ]
      for (const secret of forms) {
        for (const kid of ['r1', undefined]) {
          const forged = forge({ alg: 'HS256', kid, typ: 'JWT' }, claims(), secret)
          expect(await codeOf(verify(keys, forged))).to.equal('token_alg_refused')
        }
      }
      expect(provider.asked).to.equal(1)
    })

    it('none, a foreign key under a known kid, jku, x5u, jwk and crit get nobody in', async () => {
      const keys = await started()
      const mallory = createKey('k1')
      const pointers = { jku: `${provider.issuer}/evil`, x5u: `${provider.issuer}/evil` }
      const rows: readonly (readonly [string, string])[] = [
        ['token_alg_refused', forge({ alg: 'none', kid: 'k1' }, claims(), 'x')],
        ['token_signature_invalid', sign(claims(), mallory)],
        ['token_signature_invalid', sign(claims(), mallory, { ...pointers, jwk: mallory.jwk })],
        ['token_header_refused', sign(claims(), provider.key, { crit: ['exp'] })],
        ['token_unknown_key', sign(claims(), { ...mallory, kid: `${provider.issuer}/evil` })],
        ['token_wrong_type', sign(claims(), provider.key, { typ: 'secevent+jwt' })],
        ['token_wrong_type', sign(claims(), provider.key, { typ: 'logout+jwt' })],
      ]
      const { asked } = provider
      for (const [code, token] of rows) expect(await codeOf(verify(keys, token))).to.equal(code)
      expect(provider.asked - asked, 'only the unknown key is asked for').to.equal(1)
    })

    it('only asymmetric algorithms can be asked for', () => {
      const keys = new RemoteKeys({ url: provider.jwksUri, algorithms: ['HS256', 'RS256'] })
      expect(keys.algorithms).to.deep.equal(['RS256'])
      expect(
        problems(() => new RemoteKeys({ url: provider.jwksUri, algorithms: ['HS256'] })),
      ).to.have.length(1)
    })
  })
})
