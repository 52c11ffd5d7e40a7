import { createHmac, sign as signBytes, type KeyObject } from 'node:crypto'
import { expect } from 'chai'
import jwt from 'jsonwebtoken'
import { isKnellError } from '../../../shared/domain/errors.ts'
import { createKeySet, type KeySet } from '../../../shared/tokens/key-set.ts'
import {
  createVerifier,
  readUnverified,
  type Verifier,
  type VerifyOptions,
} from '../../../shared/tokens/verifier.ts'
import { ec256, ec384, ec512, ed25519, jwkOf, pemOf, refusal, rsa } from './keys.ts'

const NOW = 1_800_000_000
const ISSUER = 'https://issuer.example'
const SECRET = 's'.repeat(32)
const CLAIMS = { iss: ISSUER, sub: 'alice', jti: 't-1', iat: NOW - 10, exp: NOW + 600 }

function part(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString(
    'base64url',
  )
}

/** Signs with HS256 whatever header and payload it is given, as no library would. */
function hs256(payload: unknown, header: unknown = { alg: 'HS256' }, secret = SECRET): string {
  const input = `${part(header)}.${part(payload)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

function rs256(payload: unknown, header: unknown, key: KeyObject = rsa.privateKey): string {
  const input = `${part(header)}.${part(payload)}`
  return `${input}.${signBytes('sha256', Buffer.from(input), key).toString('base64url')}`
}

/** A good token of exactly this many bytes. */
function ofSize(bytes: number): string {
  const empty = hs256({ ...CLAIMS, pad: '' })
  for (let pad = Math.floor(((bytes - empty.length) * 3) / 4) - 2; ; pad++) {
    const token = hs256({ ...CLAIMS, pad: 'x'.repeat(pad) })
    if (token.length === bytes) return token
    if (token.length > bytes) throw new Error(`No token has ${bytes} bytes.`)
  }
}

function verifierOf(options: Partial<VerifyOptions> = {}): Verifier {
  return createVerifier({ keys: [{ secret: SECRET }], issuer: ISSUER, ...options })
}

const plain = verifierOf()
const verify = (token: unknown, verifier = plain): unknown =>
  verifier.verify(token as string, { now: NOW })
const verifyClaims = (claims: object): unknown => verify(hs256({ ...CLAIMS, ...claims }))

describe('verifier', () => {
  it('returns the header and claims of a good token', () => {
    const { header, claims } = plain.verify(hs256(CLAIMS), { now: NOW })
    expect(header).to.deep.equal({ alg: 'HS256' })
    expect(claims).to.deep.equal(CLAIMS)
  })

  it('judges by the clock of this machine when no time is given', () => {
    const now = Date.now() / 1000
    expect(plain.verify(hs256({ ...CLAIMS, exp: now + 60 })).claims.jti).to.equal('t-1')
    refusal('token_expired', () => plain.verify(hs256({ ...CLAIMS, exp: now - 1 })))
  })

  it('refuses a time that is not finite, since nothing would be expired by it', () => {
    for (const now of [NaN, Infinity, -Infinity]) {
      expect(() => plain.verify(hs256({ ...CLAIMS, exp: 1 }), { now })).to.throw(TypeError)
    }
  })

  describe('algorithms', () => {
    it('verifies each algorithm with a key that fits', () => {
      const cases: readonly (readonly [jwt.Algorithm, KeyObject, object])[] = [
        ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const).map(
          (alg) => [alg, rsa.privateKey, { pem: pemOf(rsa.publicKey) }] as const,
        ),
        ['ES256', ec256.privateKey, { jwk: jwkOf(ec256.publicKey) }],
        ['ES384', ec384.privateKey, { jwk: jwkOf(ec384.publicKey) }],
        ['ES512', ec512.privateKey, { jwk: jwkOf(ec512.publicKey) }],
      ]
      for (const [algorithm, key, entry] of cases) {
        const verifier = verifierOf({ keys: [entry] })
        expect(verify(jwt.sign(CLAIMS, key, { algorithm }), verifier)).to.have.property('claims')
      }
      const secret = 's'.repeat(64)
      for (const algorithm of ['HS256', 'HS384', 'HS512'] as const) {
        const verifier = verifierOf({ keys: [{ secret }] })
        expect(verify(jwt.sign(CLAIMS, secret, { algorithm }), verifier)).to.have.property('claims')
      }
    })

    it('refuses alg none, in any spelling and with or without a signature', () => {
      for (const alg of ['none', 'None', 'NONE', 'nOnE']) {
        const signed = hs256(CLAIMS, { alg })
        refusal('token_alg_refused', () => verify(signed))
        refusal('token_malformed', () => verify(signed.slice(0, signed.lastIndexOf('.') + 1)))
      }
    })

    it('refuses a token signed with the public RSA key as an HMAC secret', () => {
      const pem = pemOf(rsa.publicKey)
      const forged = hs256(CLAIMS, { alg: 'HS256', kid: 'k' }, pem)
      refusal('token_alg_refused', () => verify(forged, verifierOf({ keys: [{ kid: 'k', pem }] })))
      const mixed = verifierOf({
        keys: [
          { kid: 'k', pem },
          { kid: 'h', secret: SECRET },
        ],
      })
      refusal('token_alg_refused', () => verify(forged, mixed))
    })

    it('refuses an algorithm outside the list, though the key would fit', () => {
      const keys = [{ pem: pemOf(rsa.publicKey) }]
      const token = jwt.sign(CLAIMS, rsa.privateKey, { algorithm: 'PS256' })
      expect(verify(token, verifierOf({ keys }))).to.have.property('claims')
      refusal('token_alg_refused', () =>
        verify(token, verifierOf({ keys, algorithms: ['RS256', 'HS256'] })),
      )
    })

    it('refuses another algorithm than the one of the key', () => {
      const keys = [{ kid: 'k', jwk: jwkOf(rsa.publicKey, { alg: 'RS256' }) }]
      const header = { algorithm: 'RS512', keyid: 'k' } as const
      refusal('token_alg_refused', () =>
        verify(jwt.sign(CLAIMS, rsa.privateKey, header), verifierOf({ keys })),
      )
    })

    it('refuses EdDSA, an unknown, an absent and a non-string alg', () => {
      const input = `${part({ alg: 'EdDSA' })}.${part(CLAIMS)}`
      const signature = signBytes(null, Buffer.from(input), ed25519.privateKey)
      refusal('token_alg_refused', () => verify(`${input}.${signature.toString('base64url')}`))
      for (const alg of ['HS1', '', 'constructor', undefined, null, 5, ['HS256']]) {
        refusal('token_alg_refused', () => verify(hs256(CLAIMS, { alg })))
      }
    })

    it('accepts the second form of an ES256 signature as the same token, known by its jti', () => {
      const verifier = verifierOf({ keys: [{ jwk: jwkOf(ec256.publicKey) }] })
      const token = jwt.sign(CLAIMS, ec256.privateKey, { algorithm: 'ES256' })
      const [header, payload, signature = ''] = token.split('.')
      const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
      const bytes = Buffer.from(signature, 'base64url')
      const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
      const twin = Buffer.concat([
        bytes.subarray(0, 32),
        Buffer.from(s.toString(16).padStart(64, '0'), 'hex'),
      ]).toString('base64url')
      const other = `${header}.${payload}.${twin}`
      expect(other).not.to.equal(token)
      const jtis = [token, other].map((one) => verifier.verify(one, { now: NOW }).claims.jti)
      expect(jtis).to.deep.equal(['t-1', 't-1'])
    })
  })

  describe('signatures', () => {
    it('refuses one of another key, a changed one, a short one and one over other bytes', () => {
      const token = hs256(CLAIMS)
      const [header, payload, signature = ''] = token.split('.')
      const other = hs256({ ...CLAIMS, sub: 'mallory' }).split('.')[1]
      for (const forged of [
        hs256(CLAIMS, { alg: 'HS256' }, 'x'.repeat(32)),
        `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
        `${header}.${payload}.AAAA`,
        `${header}.${other}.${signature}`,
      ]) {
        refusal('token_signature_invalid', () => verify(forged))
      }
    })

    it('refuses an ES256 signature of zeros and one in DER', () => {
      const verifier = verifierOf({ keys: [{ jwk: jwkOf(ec256.publicKey) }] })
      const input = `${part({ alg: 'ES256' })}.${part(CLAIMS)}`
      const der = signBytes('sha256', Buffer.from(input), ec256.privateKey)
      for (const signature of [Buffer.alloc(64), der]) {
        const token = `${input}.${signature.toString('base64url')}`
        refusal('token_signature_invalid', () => verify(token, verifier))
      }
    })
  })

  describe('headers', () => {
    it('refuses crit and b64, whatever they say', () => {
      for (const more of [
        { crit: ['exp'] },
        { crit: [] },
        { crit: null },
        { b64: false, crit: ['b64'] },
        { b64: false },
        { b64: true },
      ]) {
        refusal('token_header_refused', () => verify(hs256(CLAIMS, { alg: 'HS256', ...more })))
      }
    })

    it('refuses a header with a member __proto__', () => {
      refusal('token_header_refused', () =>
        verify(hs256(CLAIMS, '{"alg":"HS256","__proto__":{"kid":"k"}}')),
      )
    })

    it('ignores jku, x5u, jwk and x5c: a key in the token verifies nothing', () => {
      const pointers = {
        jku: 'https://evil.example/keys',
        x5u: 'https://evil.example/cert',
        x5c: ['MIIB'],
        jwk: jwkOf(ec256.publicKey),
      }
      expect(verify(hs256(CLAIMS, { alg: 'HS256', ...pointers }))).to.have.property('claims')
      const keys = [{ jwk: jwkOf(rsa.publicKey) }]
      const forged = jwt.sign(CLAIMS, ec256.privateKey, {
        algorithm: 'ES256',
        header: { alg: 'ES256', ...pointers },
      } as jwt.SignOptions)
      refusal('token_alg_refused', () => verify(forged, verifierOf({ keys })))
      const both = [...keys, { jwk: jwkOf(ec384.publicKey) }]
      refusal('token_alg_refused', () => verify(forged, verifierOf({ keys: both })))
    })

    it('gives each token a header of its own, however many have the same', () => {
      for (const header of [
        { alg: 'HS256', x: '1' },
        { alg: 'HS256', jwk: { x: '1' } },
      ]) {
        const token = hs256(CLAIMS, header)
        for (let time = 0; time < 3; time++) {
          const found = plain.verify(token, { now: NOW }).header as {
            x?: string
            jwk?: { x: string }
          }
          expect(found).to.deep.equal(header)
          if (found.jwk) found.jwk.x = 'changed'
          found.x = 'changed'
        }
      }
    })

    it('looks at payload, key and signature of each token, however often it saw such a header', () => {
      const good = hs256(CLAIMS, { alg: 'HS256', typ: 'JWT' })
      verify(good)
      const [header, payload] = good.split('.')
      refusal('token_signature_invalid', () => verify(`${header}.${payload}.${part('no')}`))
      refusal('token_malformed', () => verify(`${header}.+.${part('no')}`))
      let keys = createKeySet([{ kid: 'a', secret: SECRET }])
      const changing: KeySet = {
        get kids() {
          return keys.kids
        },
        get algorithms() {
          return keys.algorithms
        },
        keyFor: (alg, kid) => keys.keyFor(alg, kid),
      }
      const verifier = verifierOf({ keys: changing })
      const token = hs256(CLAIMS, { alg: 'HS256', kid: 'a' })
      verify(token, verifier)
      keys = createKeySet([{ kid: 'b', secret: SECRET }])
      refusal('token_unknown_key', () => verify(token, verifier))
      keys = createKeySet([{ kid: 'a', pem: pemOf(rsa.publicKey) }])
      refusal('token_alg_refused', () => verify(token, verifier))
    })

    it('knows a header again after very many others', () => {
      for (let i = 0; i < 200; i++) {
        const header = { alg: 'HS256', n: `${i % 100}` }
        expect(plain.verify(hs256(CLAIMS, header), { now: NOW }).header).to.deep.equal(header)
      }
    })

    it('accepts JWT, at+jwt and no typ by default, and no other', () => {
      for (const typ of [
        'JWT',
        'jwt',
        'at+jwt',
        'AT+JWT',
        'application/at+jwt',
        'Application/JWT',
      ]) {
        expect(verify(hs256(CLAIMS, { alg: 'HS256', typ }))).to.have.property('claims')
      }
      for (const typ of ['logout+jwt', 'secevent+jwt', 'dpop+jwt', '', 'x/jwt', null, 1, ['JWT']]) {
        refusal('token_wrong_type', () => verify(hs256(CLAIMS, { alg: 'HS256', typ })))
      }
    })

    it('needs a typ of the list, and so a typ at all, when a list is given', () => {
      const verifier = verifierOf({ typ: ['application/logout+jwt'] })
      const token = hs256(CLAIMS, { alg: 'HS256', typ: 'Logout+JWT' })
      expect(verify(token, verifier)).to.have.property('claims')
      for (const typ of ['JWT', 'at+jwt', undefined]) {
        refusal('token_wrong_type', () => verify(hs256(CLAIMS, { alg: 'HS256', typ }), verifier))
      }
    })
  })

  describe('key names', () => {
    const two = verifierOf({
      keys: [
        { kid: 'a', jwk: jwkOf(rsa.publicKey) },
        { kid: 'b', jwk: jwkOf(ec256.publicKey) },
        { kid: 'c', secret: SECRET },
        { kid: 'd', secret: 'd'.repeat(32) },
      ],
    })

    it('lists them', () => {
      expect(two.kids).to.deep.equal(['a', 'b', 'c', 'd'])
      expect(plain.kids).to.deep.equal([])
    })

    it('picks the key the token names', () => {
      expect(verify(hs256(CLAIMS, { alg: 'HS256', kid: 'c' }), two)).to.have.property('claims')
      refusal('token_signature_invalid', () =>
        verify(hs256(CLAIMS, { alg: 'HS256', kid: 'd' }), two),
      )
      refusal('token_alg_refused', () => verify(hs256(CLAIMS, { alg: 'HS256', kid: 'b' }), two))
    })

    it('refuses every name that is not exactly a known one', () => {
      for (const kid of [
        'A',
        'a ',
        '',
        'e',
        '../../dev/null',
        "a' OR '1'='1",
        'https://evil.example/k',
        '__proto__',
        'constructor',
        'k'.repeat(129),
        null,
        1,
        ['a'],
        { a: 1 },
      ]) {
        refusal('token_unknown_key', () => verify(hs256(CLAIMS, { alg: 'HS256', kid }), two))
      }
      refusal('token_unknown_key', () => verify(hs256(CLAIMS, { alg: 'HS256', kid: 'a' })))
    })

    it('needs a name only where two keys fit the algorithm', () => {
      expect(verify(rs256(CLAIMS, { alg: 'RS256' }), two)).to.have.property('claims')
      refusal('token_unknown_key', () => verify(hs256(CLAIMS), two))
    })

    it('gives the name of the key that verified a token without one, so that a rule on kid meets it', () => {
      const { header } = two.verify(rs256(CLAIMS, { alg: 'RS256' }), { now: NOW })
      expect(header['kid']).to.equal('a')
    })
  })

  describe('size and shape', () => {
    it('takes a token of 16 KiB and refuses larger ones before anything is parsed', () => {
      expect(verify(ofSize(16_384 - 1))).to.have.property('claims')
      expect(verify(ofSize(16_384))).to.have.property('claims')
      refusal('token_too_large', () => verify(ofSize(16_384 + 1)))
      refusal('token_too_large', () => verify('x'.repeat(16_385)))
      refusal('token_malformed', () => verify('x'.repeat(16_384)))
      refusal('token_too_large', () => verify('x'.repeat(5_000_000)))
    })

    it('measures bytes, not characters', () => {
      refusal('token_too_large', () => verify('é'.repeat(8193)))
      refusal('token_malformed', () => verify('é'.repeat(8192)))
    })

    it('refuses what is not a string', () => {
      for (const value of [undefined, null, 5, {}, [], Buffer.from(hs256(CLAIMS))]) {
        refusal('token_malformed', () => verify(value))
      }
    })

    it('refuses any other number of parts, and says what five mean', () => {
      for (const value of [
        '',
        'a',
        'a.b',
        'a.b.c.d',
        '..',
        'a..c',
        '.b.c',
        'a.b.',
        'a.b.c.d.e.f',
      ]) {
        refusal('token_malformed', () => verify(value))
      }
      const jwe = refusal('token_malformed', () => verify('e30.AA.AA.AA.AA'))
      expect(jwe.message).to.contain('encrypted')
    })

    it('refuses parts that are not base64url as an encoder writes it', () => {
      const [header = '', payload = '', signature = ''] = hs256(CLAIMS).split('.')
      for (const token of [
        ` ${header}.${payload}.${signature}`,
        `${header}.${payload}.${signature}\n`,
        `${header}=.${payload}.${signature}`,
        `${header}.${payload}+.${signature}`,
        `${header}.${payload}.${signature}=`,
        `${header}.${payload}.${signature}é`,
        `Bearer ${header}.${payload}.${signature}`,
      ]) {
        refusal('token_malformed', () => verify(token))
      }
      // 32 bytes leave two bits of the last character unused; another character with the same bytes is refused.
      const last = signature.at(-1) ?? ''
      const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      const twin = signature.slice(0, -1) + digits[digits.indexOf(last) + 1]
      expect(Buffer.from(twin, 'base64url')).to.deep.equal(Buffer.from(signature, 'base64url'))
      refusal('token_malformed', () => verify(`${header}.${payload}.${twin}`))
    })

    it('takes of all texts the one that an encoder makes of its bytes', () => {
      const taken = (text: string): boolean => {
        try {
          readUnverified(`e30.e30.${text}`)
          return true
        } catch (error) {
          if (isKnellError(error, 'token_malformed')) return false
          throw error
        }
      }
      const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      const characters = [...digits.split(''), '+', '/', '=', ' ', '\n', 'é', '\u0100']
      const isExact = (text: string): boolean =>
        Buffer.from(text, 'base64url').toString('base64url') === text
      for (const a of characters) {
        for (const b of characters) {
          for (const text of [a, `A${a}${b}`, `${a}${b}`, `AAA${a}${b}`, `A${a}${b}A`]) {
            if (taken(text) !== isExact(text)) expect.fail(JSON.stringify(text))
          }
        }
      }
    })

    it('refuses a header that is not a JSON object in UTF-8', () => {
      for (const header of ['null', '[]', '"HS256"', '5', '{', '', '\ufeff{"alg":"HS256"}']) {
        refusal('token_malformed', () => verify(hs256(CLAIMS, header || ' ')))
      }
    })

    it('refuses bytes that are not UTF-8, which could make two names look alike', () => {
      const bytes = Buffer.from(JSON.stringify({ ...CLAIMS, sub: '~' }))
      bytes[bytes.indexOf('~')] = 0xff
      const input = `${part({ alg: 'HS256' })}.${bytes.toString('base64url')}`
      const signature = createHmac('sha256', SECRET).update(input).digest('base64url')
      refusal('token_malformed', () => verify(`${input}.${signature}`))
    })

    it('refuses a payload that is not a JSON object, though it is signed', () => {
      for (const payload of ['"text"', '[]', '[{"exp":1}]', 'null', '5', 'true']) {
        for (const header of [{ alg: 'HS256' }, { alg: 'HS256', typ: 'JWT' }]) {
          refusal('token_claims_invalid', () => verify(hs256(payload, header)))
        }
      }
      for (const payload of ['no json', '{"exp":', `{"iss":"${ISSUER}"} x`]) {
        refusal('token_malformed', () => verify(hs256(payload)))
      }
    })

    it('refuses a payload with a claim __proto__, so that no copy of it inherits claims', () => {
      const text = JSON.stringify(CLAIMS).replace('{', '{"__proto__":{"admin":true},')
      refusal('token_claims_invalid', () => verify(hs256(text)))
      refusal('token_claims_invalid', () => verify(hs256(text.replace('__proto', '\\u005f_proto'))))
      expect(verify(hs256(text.replace('__proto__', 'constructor')))).to.have.property('claims')
    })

    it('takes the last of two claims of one name', () => {
      const text = JSON.stringify(CLAIMS).replace('{', '{"jti":"first",')
      expect(plain.verify(hs256(text), { now: NOW }).claims.jti).to.equal('t-1')
    })
  })

  describe('times', () => {
    it('needs an exp that is a number of seconds in bounds', () => {
      for (const exp of [
        undefined,
        null,
        '1800000600',
        0,
        -1,
        -0.5,
        1e20,
        2 ** 33,
        true,
        [NOW + 9],
      ]) {
        refusal('token_claims_invalid', () => verifyClaims({ exp }))
      }
      const infinite = JSON.stringify(CLAIMS).replace(String(CLAIMS.exp), '1e400')
      refusal('token_claims_invalid', () => verify(hs256(infinite)))
      expect(verifyClaims({ exp: 2 ** 33 - 1 })).to.have.property('claims')
    })

    it('takes a fractional exp, which is kept as it is', () => {
      const token = hs256({ ...CLAIMS, exp: NOW + 0.5 })
      expect(plain.verify(token, { now: NOW }).claims.exp).to.equal(NOW + 0.5)
      refusal('token_expired', () => plain.verify(token, { now: NOW + 0.5 }))
    })

    it('accepts a token until the second of its exp and not from then on', () => {
      expect(verifyClaims({ exp: NOW + 1 })).to.have.property('claims')
      refusal('token_expired', () => verifyClaims({ exp: NOW }))
      refusal('token_expired', () => verifyClaims({ exp: NOW - 1 }))
    })

    it('accepts a token from the second of its nbf on and not before', () => {
      refusal('token_not_yet_valid', () => verifyClaims({ nbf: NOW + 1 }))
      expect(verifyClaims({ nbf: NOW })).to.have.property('claims')
      expect(verifyClaims({ nbf: NOW - 1 })).to.have.property('claims')
    })

    it('moves both by the clock tolerance', () => {
      const verifier = verifierOf({ clockToleranceSeconds: 60 })
      const times = (claims: object) => () => verify(hs256({ ...CLAIMS, ...claims }), verifier)
      expect(times({ exp: NOW - 59, nbf: NOW + 60 })()).to.have.property('claims')
      refusal('token_expired', times({ exp: NOW - 60 }))
      refusal('token_not_yet_valid', times({ nbf: NOW + 61 }))
    })

    it('lets an expired token pass where its exp is to be ignored, and only its exp', () => {
      const call = { now: NOW, ignoreExpiration: true }
      const late = { ...CLAIMS, exp: NOW - 9999 }
      expect(plain.verify(hs256(late), call).claims.exp).to.equal(NOW - 9999)
      refusal('token_not_yet_valid', () => plain.verify(hs256({ ...late, nbf: NOW + 1 }), call))
      refusal('token_claims_invalid', () => plain.verify(hs256({ ...late, exp: 'x' }), call))
      refusal('token_wrong_issuer', () => plain.verify(hs256({ ...late, iss: 'x' }), call))
    })

    it('needs iat and nbf in the same bounds, where they are there', () => {
      for (const value of [null, 'x', String(NOW), 0, -1, 1e20, 2 ** 33]) {
        refusal('token_claims_invalid', () => verifyClaims({ iat: value }))
        refusal('token_claims_invalid', () => verifyClaims({ nbf: value }))
      }
      expect(verifyClaims({ iat: undefined })).to.have.property('claims')
      expect(verifyClaims({ iat: NOW - 0.25 })).to.have.property('claims')
    })

    it('leaves an iat in the future to be judged where the rules are', () => {
      expect(verifyClaims({ iat: NOW + 500 })).to.have.property('claims')
    })
  })

  describe('claims', () => {
    it('needs jti, sub, sid and client_id to be identifiers, where they are there', () => {
      for (const name of ['jti', 'sub', 'sid', 'client_id']) {
        for (const value of [null, 5, true, '', {}, ['x'], 'a\nb', 'a\u0000', '\ud800']) {
          const error = refusal('token_claims_invalid', () => verifyClaims({ [name]: value }))
          expect(error.message).to.contain(`"${name}"`)
        }
        refusal('token_claims_invalid', () => verifyClaims({ [name]: 'x'.repeat(257) }))
        refusal('token_claims_invalid', () => verifyClaims({ [name]: 'x'.repeat(10_000) }))
        expect(verifyClaims({ [name]: 'x'.repeat(256) })).to.have.property('claims')
        expect(verifyClaims({ [name]: 'x' })).to.have.property('claims')
        expect(verifyClaims({ [name]: undefined })).to.have.property('claims')
      }
    })

    it('needs exactly the issuer', () => {
      for (const iss of [undefined, null, '', `${ISSUER}/`, ISSUER.toUpperCase(), [ISSUER], 5]) {
        refusal('token_wrong_issuer', () => verifyClaims({ iss }))
      }
    })

    it('needs one of its audiences where any is given', () => {
      const one = verifierOf({ audience: 'api' })
      const some = verifierOf({ audience: ['api', 'web'] })
      expect(verify(hs256({ ...CLAIMS, aud: 'api' }), one)).to.have.property('claims')
      expect(verify(hs256({ ...CLAIMS, aud: ['x', 'api'] }), one)).to.have.property('claims')
      expect(verify(hs256({ ...CLAIMS, aud: ['web'] }), some)).to.have.property('claims')
      for (const value of [undefined, 'API', 'ap', '', [], ['x', 'y']]) {
        refusal('token_wrong_audience', () => verify(hs256({ ...CLAIMS, aud: value }), one))
      }
    })

    it('needs aud to be a string or an array of strings, and looks at no more of it unless asked', () => {
      for (const aud of [null, 5, {}, ['api', 5], [null], [['api']]]) {
        refusal('token_claims_invalid', () => verifyClaims({ aud }))
      }
      for (const aud of ['anything', [], ['a', 'b']]) {
        expect(verifyClaims({ aud })).to.have.property('claims')
      }
    })

    it('quotes nothing of a token in its messages', () => {
      const mark = 'needle'
      const other = { keys: [{ kid: 'k', secret: SECRET }], audience: 'api' }
      const tokens = [
        mark,
        `${mark}.${mark}.${mark}`,
        hs256(mark),
        hs256(CLAIMS, mark),
        hs256(CLAIMS, { alg: mark }),
        hs256(CLAIMS, { alg: 'HS256', typ: mark }),
        hs256(CLAIMS, { alg: 'HS256', kid: mark }),
        hs256(CLAIMS, { alg: 'HS256', crit: [mark] }),
        hs256({ ...CLAIMS, exp: mark }),
        hs256({ ...CLAIMS, jti: `${mark}\n` }),
        hs256({ ...CLAIMS, iss: mark }),
        hs256({ ...CLAIMS, aud: mark }),
      ]
      for (const token of tokens) {
        try {
          verify(token, verifierOf(other))
          expect.fail('accepted')
        } catch (error) {
          const { message, details, cause } = error as Error & { details: unknown }
          expect(`${message} ${JSON.stringify(details)} ${String(cause)}`).not.to.contain(mark)
        }
      }
    })
  })

  describe('options', () => {
    it('refuses those out of bounds as the mistake of the caller', () => {
      const bad: readonly Partial<Record<keyof VerifyOptions, unknown>>[] = [
        { issuer: '' },
        { issuer: undefined },
        { algorithms: [] },
        { algorithms: ['none'] },
        { algorithms: ['EdDSA'] },
        { typ: [] },
        { audience: [] },
        { audience: '' },
        { clockToleranceSeconds: 61 },
        { clockToleranceSeconds: -1 },
        { clockToleranceSeconds: NaN },
      ]
      for (const options of bad) {
        expect(
          () => verifierOf(options as Partial<VerifyOptions>),
          JSON.stringify(options),
        ).to.throw(TypeError)
      }
      expect(verifierOf({ clockToleranceSeconds: 60 })).to.have.property('issuer', ISSUER)
    })
  })
})

describe('readUnverified', () => {
  it('reads header and claims of a token whose signature nobody checks', () => {
    const token = hs256({ jti: 'x', exp: 'whatever' }, { alg: 'none' }, 'any')
    expect(readUnverified(token)).to.deep.equal({
      header: { alg: 'none' },
      claims: { jti: 'x', exp: 'whatever' },
    })
  })

  it('keeps to the same size and shape', () => {
    refusal('token_too_large', () => readUnverified('x'.repeat(16_385)))
    refusal('token_malformed', () => readUnverified('a.b'))
    refusal('token_malformed', () => readUnverified('e30.AA.AA.AA.AA'))
    refusal('token_malformed', () => readUnverified(hs256(CLAIMS, '[]')))
    refusal('token_claims_invalid', () => readUnverified(hs256('[]')))
    refusal('token_claims_invalid', () => readUnverified(hs256('{"__proto__":{}}')))
  })
})
