import { createHmac, createPublicKey } from 'node:crypto'
import { expect } from 'chai'
import type { ErrorCode } from '../../../shared/domain/errors.ts'
import { createKeySet } from '../../../shared/tokens/key-set.ts'
import { createLogoutVerifier, LOGOUT_EVENT } from '../../../shared/tokens/logout-token.ts'
import { createVerifier } from '../../../shared/tokens/verifier.ts'
import { createKey, sign } from '../../support/provider.ts'
import { pemOf, refusal } from './keys.ts'

const NOW = 1_800_000_000
const ISSUER = 'https://id.example'
const events = { [LOGOUT_EVENT]: {} }
const CLAIMS = {
  iss: ISSUER,
  aud: 'shop',
  sub: 'alice',
  sid: 's-1',
  jti: 'l-1',
  iat: NOW - 1,
  exp: NOW + 119,
  events,
}

describe('logout tokens', () => {
  const key = createKey('k1')
  const rsa = createKey('r1', 'rsa')
  const keys = createKeySet({ keys: [key.jwk, rsa.jwk] })
  const verifier = createLogoutVerifier({ keys, issuer: ISSUER, audience: ['shop', 'app'] })
  const access = createVerifier({ keys, issuer: ISSUER })
  const token = (claims: object = {}, header: object = { typ: 'logout+jwt' }, by = key): string =>
    sign({ ...CLAIMS, ...claims }, by, header)
  const verify = (text: string, now = NOW) => verifier.verify(text, { now })

  it('say whose sessions, or which one, have ended', () => {
    expect(verify(token())).to.deep.equal({ jti: 'l-1', iat: NOW - 1, sub: 'alice', sid: 's-1' })
    expect(verify(token({ sid: undefined }))).to.not.have.property('sid')
    expect(verify(token({ sub: undefined }))).to.not.have.property('sub')
    expect(verify(token({ aud: ['other', 'app'] }, {}, rsa)).jti).to.equal('l-1')
  })

  it('need no typ of their own, but may have no other', () => {
    for (const typ of ['logout+jwt', 'LOGOUT+JWT', 'application/logout+jwt', 'JWT', undefined]) {
      expect(verify(token({}, { typ })).jti, typ).to.equal('l-1')
    }
    for (const typ of ['at+jwt', 'secevent+jwt', 'dpop+jwt', '', 5, null]) {
      refusal('token_wrong_type', () => verify(token({}, { typ })))
    }
  })

  const refused: readonly (readonly [string, ErrorCode, object])[] = [
    ['of another issuer', 'token_wrong_issuer', { iss: 'https://evil.example' }],
    ['without an issuer', 'token_wrong_issuer', { iss: undefined }],
    ['for another client', 'token_wrong_audience', { aud: ['other'] }],
    ['for nobody', 'token_wrong_audience', { aud: undefined }],
    ['for an audience that is no text', 'token_wrong_audience', { aud: { shop: true } }],
    ['that has expired', 'token_expired', { exp: NOW - 61 }],
    ['without exp', 'token_claims_invalid', { exp: undefined }],
    ['with exp in ms', 'token_claims_invalid', { exp: NOW * 1000 }],
    ['with a text as exp', 'token_claims_invalid', { exp: String(NOW) }],
    ['with exp 1e20', 'token_claims_invalid', { exp: 1e20 }],
    ['without iat', 'token_claims_invalid', { iat: undefined }],
    ['that is old, though it has not expired', 'token_expired', { iat: NOW - 361 }],
    ['of the future', 'token_not_yet_valid', { iat: NOW + 61 }],
    ['without jti', 'token_claims_invalid', { jti: undefined }],
    ['with a number as jti', 'token_claims_invalid', { jti: 5 }],
    ['with 10 kB of jti', 'token_claims_invalid', { jti: 'x'.repeat(10_000) }],
    ['with a line break in sid', 'token_claims_invalid', { sid: 'a\nb' }],
    ['without sub and sid', 'token_claims_invalid', { sub: undefined, sid: undefined }],
    ['with an empty sub', 'token_claims_invalid', { sub: '' }],
    ['with an object as sub', 'token_claims_invalid', { sub: { a: 1 } }],
    ['with a nonce', 'token_claims_invalid', { nonce: 'n' }],
    ['with a nonce that is null', 'token_claims_invalid', { nonce: null }],
    ['without events', 'token_claims_invalid', { events: undefined }],
    ['with no event', 'token_claims_invalid', { events: {} }],
    ['with another event', 'token_claims_invalid', { events: { [`${LOGOUT_EVENT}s`]: {} } }],
    ['with an event that is no object', 'token_claims_invalid', { events: { [LOGOUT_EVENT]: 1 } }],
    ['with a list as event', 'token_claims_invalid', { events: { [LOGOUT_EVENT]: [] } }],
    ['with events as a list', 'token_claims_invalid', { events: [LOGOUT_EVENT] }],
    ['with events as a text', 'token_claims_invalid', { events: LOGOUT_EVENT }],
  ]
  for (const [what, code, claims] of refused) {
    it(`are refused ${what}`, () => {
      refusal(code, () => verify(token(claims)))
    })
  }

  it('are taken from a clock that is off by a minute, and no more', () => {
    expect(verify(token({ exp: NOW - 59 })).jti).to.equal('l-1')
    expect(verify(token({ iat: NOW + 60 })).jti).to.equal('l-1')
    expect(verify(token({ iat: NOW - 360 })).jti).to.equal('l-1')
  })

  it('are refused by a time that is not finite', () => {
    for (const now of [NaN, Infinity]) expect(() => verify(token(), now)).to.throw(TypeError)
  })

  it('are refused unsigned, forged, encrypted and too large', () => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const hmac = (header: object, secret: string): string => {
      const input = `${part(header)}.${part(CLAIMS)}`
      return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
    }
    const pem = pemOf(createPublicKey(rsa.privateKey))
    const rows: readonly (readonly [ErrorCode, string])[] = [
      ['token_malformed', `${part({ alg: 'none' })}.${part(CLAIMS)}.`],
      ['token_alg_refused', hmac({ alg: 'none' }, 'x')],
      ['token_alg_refused', hmac({ alg: 'HS256', kid: 'r1', typ: 'logout+jwt' }, pem)],
      ['token_signature_invalid', token({}, {}, createKey('k1'))],
      ['token_unknown_key', token({}, {}, createKey('k9'))],
      ['token_header_refused', token({}, { crit: ['exp'] })],
      ['token_header_refused', token({}, { b64: false })],
      ['token_malformed', 'a.b.c.d.e'],
      ['token_too_large', token({ pad: 'x'.repeat(20_000) })],
    ]
    for (const [code, text] of rows) refusal(code, () => verify(text))
  })

  it('are no access tokens, whatever their typ, nor are access tokens logout tokens', () => {
    for (const typ of ['logout+jwt', 'JWT', 'at+jwt', undefined]) {
      refusal('token_wrong_type', () => access.verify(token({}, { typ }), { now: NOW }))
    }
    const { events: _, ...claims } = CLAIMS
    for (const typ of ['JWT', undefined]) {
      const text = sign(claims, key, { typ })
      expect(access.verify(text, { now: NOW }).claims.sub).to.equal('alice')
      refusal('token_claims_invalid', () => verify(text))
    }
    refusal('token_wrong_type', () => verify(sign(claims, key, { typ: 'at+jwt' })))
  })

  it('leave a claim called events to those who use it for something else', () => {
    for (const own of [['login'], 'login', { login: 1 }, null]) {
      const text = token({ events: own }, { typ: 'at+jwt' })
      expect(access.verify(text, { now: NOW }).claims.sub).to.equal('alice')
    }
  })
})
