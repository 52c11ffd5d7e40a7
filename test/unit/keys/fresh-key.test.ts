import { expect } from 'chai'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { parsePrivateJwk } from '../../../shared/keys/fresh-key.ts'
import { isKnellError } from '../../../shared/domain/errors.ts'

const ec = (namedCurve: string): object =>
  generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'jwk' })
const rsa = (modulusLength: number): object =>
  generateKeyPairSync('rsa', { modulusLength }).privateKey.export({ format: 'jwk' })
const secret = (bytes: number): object => ({
  kty: 'oct',
  k: randomBytes(bytes).toString('base64url'),
})

describe('A signing key made elsewhere', () => {
  it('signs with the one algorithm it is for', () => {
    expect(parsePrivateJwk({ ...ec('P-256') })).to.equal('ES256')
    expect(parsePrivateJwk({ ...rsa(2048) })).to.equal('RS256')
    expect(parsePrivateJwk({ ...secret(32) })).to.equal('HS256')
  })

  it('is refused where it is weak, public, of another kind or unreadable, and is not quoted', () => {
    const { d: _, ...shown } = ec('P-256') as Record<string, unknown>
    const bad: [string, object][] = [
      ['31 bytes', secret(31)],
      ['1024', rsa(1024)],
      ['curve', ec('P-384')],
      ['private part', shown],
      ['kty', { kty: 'OKP', crv: 'Ed25519', d: 'x' }],
      ['alg', { ...secret(32), alg: 'RS256' }],
      ['readable', { kty: 'EC', crv: 'P-256', d: 'hunter2' }],
      ['kty', {}],
    ]
    for (const [why, jwk] of bad) {
      let caught: unknown
      try {
        parsePrivateJwk({ ...jwk })
      } catch (error) {
        caught = error
      }
      expect(isKnellError(caught, 'invalid_request'), why).to.equal(true)
      expect((caught as Error).message)
        .to.include(why)
        .and.not.include('hunter2')
    }
  })
})
