import { generateKeyPairSync } from 'node:crypto'
import { expect } from 'chai'
import { createKeySet, type KeyInput } from '../../../shared/tokens/key-set.ts'
import { ec256, ec384, ed25519, jwkOf, pemOf, problems, refusal, rsa, weakRsa } from './keys.ts'

const SECRET = 's'.repeat(32)
const oct = (secret: string): string => Buffer.from(secret).toString('base64url')
const algorithms = (key: unknown): unknown => createKeySet([key] as KeyInput).algorithms
const problemsOf = (keys: unknown): string[] => problems(() => createKeySet(keys as KeyInput))

describe('key set', () => {
  it('reads a JWK set as an object, the same as JSON text, and a list of keys', () => {
    const jwk = jwkOf(ec256.publicKey, { kid: 'k' })
    for (const keys of [
      { keys: [jwk] },
      JSON.stringify({ keys: [jwk] }),
      [{ jwk }],
      JSON.stringify([{ jwk }]),
      [jwk],
      [{ kid: 'k', pem: pemOf(ec256.publicKey) }],
    ]) {
      const set = createKeySet(keys as KeyInput)
      expect(set.kids).to.deep.equal(['k'])
      expect(set.algorithms).to.deep.equal(['ES256'])
    }
  })

  it('gives each key the algorithms it fits, or the one it is made for', () => {
    const rsaAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
    expect(algorithms({ pem: pemOf(rsa.publicKey) })).to.deep.equal(rsaAlgorithms)
    expect(algorithms(jwkOf(rsa.publicKey, { alg: 'PS384' }))).to.deep.equal(['PS384'])
    expect(algorithms(jwkOf(ec384.publicKey))).to.deep.equal(['ES384'])
    expect(algorithms({ secret: SECRET })).to.deep.equal(['HS256'])
    expect(algorithms({ secret: 's'.repeat(48) })).to.deep.equal(['HS256', 'HS384'])
    expect(algorithms({ secret: Buffer.alloc(64, 1) })).to.deep.equal(['HS256', 'HS384', 'HS512'])
    expect(algorithms({ secret: SECRET, alg: 'HS256' })).to.deep.equal(['HS256'])
  })

  it('keeps only the public part of a private key', () => {
    for (const entry of [
      { jwk: jwkOf(rsa.privateKey) },
      { pem: pemOf(rsa.privateKey) },
      { jwk: jwkOf(rsa.privateKey, { key_ops: ['sign'] }) },
    ]) {
      const { key } = createKeySet([entry]).keyFor('RS256', undefined)
      expect(key.type).to.equal('public')
    }
  })

  it('reads the key of an RSA-PSS pair only where it fixes the hash', () => {
    const bound = generateKeyPairSync('rsa-pss', {
      modulusLength: 2048,
      hashAlgorithm: 'sha256',
      mgf1HashAlgorithm: 'sha256',
    })
    const free = generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
    expect(createKeySet([{ pem: pemOf(bound.publicKey) }]).algorithms).to.deep.equal(['PS256'])
    expect(problemsOf([{ pem: pemOf(free.publicKey) }])[0]).to.contain('RSA-PSS')
  })

  it('restricts the keys to the accepted algorithms', () => {
    const keys = [{ pem: pemOf(rsa.publicKey) }, { secret: SECRET }]
    expect(createKeySet(keys, ['RS256']).algorithms).to.deep.equal(['RS256'])
    const found = problems(() => createKeySet(keys, ['ES256']))
    expect(found[0]).to.contain('no key to verify with')
  })

  it('passes over keys for encryption and, in a JWK set, those of a kind unknown here', () => {
    const good = jwkOf(rsa.publicKey, { kid: 'good', use: 'sig' })
    const keys = [
      good,
      jwkOf(rsa.publicKey, { kid: 'enc', use: 'enc' }),
      jwkOf(rsa.publicKey, { kid: 'wrap', key_ops: ['wrapKey'] }),
      jwkOf(rsa.publicKey, { kid: 'oaep', alg: 'RSA-OAEP' }),
      jwkOf(ed25519.publicKey, { kid: 'ed', alg: 'EdDSA' }),
    ]
    expect(createKeySet({ keys }).kids).to.deep.equal(['good'])
    expect(createKeySet([{ jwk: good }, { jwk: keys[1] ?? {} }]).kids).to.deep.equal(['good'])
    const found = problemsOf({ keys: keys.slice(1) })
    expect(found).to.have.length(1)
    expect(found[0]).to.contain('no key to verify with').and.to.contain('key "ed"')
    expect(problemsOf([{ jwk: keys[4] }])[0]).to.contain('EdDSA is not supported')
  })

  it('refuses weak keys at the boundary', () => {
    expect(problemsOf([{ pem: pemOf(weakRsa.publicKey) }])[0]).to.contain('1024 bits')
    expect(problemsOf([{ secret: 's'.repeat(31) }])[0]).to.contain('31 bytes')
    expect(problemsOf([{ secret: 'a' }])[0]).to.contain('1 bytes')
    expect(problemsOf([{ jwk: { kty: 'oct', k: oct('s'.repeat(31)) } }])[0]).to.contain('31 bytes')
    expect(problemsOf([{ secret: SECRET, alg: 'HS512' }])[0]).to.contain('at least 64')
    expect(createKeySet([{ jwk: { kty: 'oct', k: oct(SECRET) } }]).algorithms).to.have.length(1)
  })

  it('refuses an algorithm of another family or curve than the key', () => {
    const cases: readonly (readonly [unknown, string])[] = [
      [{ pem: pemOf(rsa.publicKey), alg: 'HS256' }, 'not for HS256'],
      [{ secret: SECRET, alg: 'RS256' }, 'not for RS256'],
      [{ pem: pemOf(ec256.publicKey), alg: 'RS256' }, 'not for RS256'],
      [jwkOf(ec384.publicKey, { alg: 'ES256' }), 'P-384'],
      [{ jwk: jwkOf(rsa.publicKey, { alg: 'PS256' }), alg: 'RS256' }, 'one "alg"'],
      [{ jwk: jwkOf(rsa.publicKey, { kid: 'a' }), kid: 'b' }, 'one "kid"'],
    ]
    for (const [entry, text] of cases) expect(problemsOf([entry])[0]).to.contain(text)
  })

  it('refuses a public key given as a secret', () => {
    const found = problemsOf([{ secret: pemOf(rsa.publicKey) }])
    expect(found[0]).to.contain('use "pem"')
  })

  it('refuses two keys of one name', () => {
    const found = problemsOf([
      { kid: 'k', secret: SECRET },
      { kid: 'k', pem: pemOf(rsa.publicKey) },
    ])
    expect(found).to.deep.equal(['key "k" is there twice'])
  })

  it('lists every problem of every key at once, without the keys', () => {
    const found = problemsOf([
      { kid: 'short', secret: 'hunter2' },
      { kid: 'bad name', secret: SECRET },
      { pem: pemOf(weakRsa.publicKey) },
      { pem: '-----BEGIN nothing' },
      { jwk: { kty: 'RSA', n: 'x' } },
      { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } },
      { jwk: { kty: 'oct' } },
      { secret: SECRET, pem: pemOf(rsa.publicKey) },
      {},
      null,
      'text',
      { secret: '' },
    ])
    expect(found).to.have.length(12)
    expect(found[0]).to.match(/^key "short" has a secret of 7 bytes/)
    expect(found[1]).to.match(/^key 2 has a "kid"/)
    expect(found.join('\n')).not.to.contain('hunter2')
  })

  it('refuses what is no set of keys, and an empty one', () => {
    for (const keys of ['', 'hunter2', '5', 'null', '{}', {}, null, undefined, 5, { keys: {} }]) {
      const [problem, ...more] = problemsOf(keys)
      expect(more).to.deep.equal([])
      expect(problem)
        .to.match(/^the keys are /)
        .and.not.to.contain('hunter2')
    }
    for (const keys of [[], { keys: [] }, '[]']) {
      expect(problemsOf(keys)).to.deep.equal(['there is no key to verify with'])
    }
  })

  it('finds no key by a name that every object has', () => {
    const set = createKeySet([{ kid: 'k', secret: SECRET }])
    for (const kid of ['__proto__', 'toString', 'constructor', null, {}]) {
      refusal('token_unknown_key', () => set.keyFor('HS256', kid))
    }
  })
})
