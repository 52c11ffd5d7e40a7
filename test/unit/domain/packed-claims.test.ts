import { expect } from 'chai'
import fc from 'fast-check'
import { carries, parseMatch, type Claims } from '../../../shared/domain/claims.ts'
import { PackedClaims } from '../../../shared/domain/packed-claims.ts'

const names = fc.constantFrom(
  'jti',
  'sub',
  'aud',
  'kid',
  'exp',
  'iat',
  'roles',
  '__proto__',
  'a,b',
  'ü',
)

const values = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
  fc.constantFrom('x'.repeat(256), 'x'.repeat(257), '"', '\\u0000', '1', 'true'),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.oneof(fc.string(), fc.integer()), { maxLength: 4 }),
  fc.constant({ nested: { a: 1 } }),
)

const claimSets: fc.Arbitrary<Claims> = fc
  .array(fc.tuple(names, values), { maxLength: 8 })
  .map((pairs) => JSON.parse(JSON.stringify(Object.fromEntries(pairs))) as Claims)

/** Every match of one claim that a rule could have and that these claims may carry. */
function matchesOf(claims: Claims): unknown[] {
  return Object.entries(claims).flatMap(([name, value]) =>
    (Array.isArray(value) ? [...(value as unknown[]), 'other'] : [value]).map((one) => ({
      [name]: one,
    })),
  )
}

describe('PackedClaims', () => {
  it('keeps whatever a rule could match, and the times', () => {
    fc.assert(
      fc.property(claimSets, claimSets, (claims, header) => {
        const packed = new PackedClaims()
        const read = packed.unpack(packed.pack(claims, header))
        for (const raw of [...matchesOf(claims), ...matchesOf(header)]) {
          let match
          try {
            match = parseMatch(raw)
          } catch {
            continue
          }
          expect(carries(match, read.claims, read.header)).to.equal(carries(match, claims, header))
        }
        for (const name of ['exp', 'iat'] as const) {
          if (typeof claims[name] === 'number') expect(read.claims[name]).to.equal(claims[name])
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('makes one text of equal tokens, and different ones of tokens that a rule can tell apart', () => {
    const packed = new PackedClaims()
    const pack = (claims: Claims, kid?: string): string =>
      packed.pack(claims, kid === undefined ? undefined : { kid, alg: 'ES256' })
    expect(pack({ jti: 'a', sub: 'b' })).to.equal(pack({ sub: 'b', jti: 'a', roles: ['x'] }))
    expect(pack({ jti: 'a', kid: 'ignored' })).to.equal(pack({ jti: 'a' }))
    expect(pack({ jti: 'a' }, 'k')).to.not.equal(pack({ jti: 'a' }))
    expect(pack({ jti: 'a', sub: 'b' })).to.not.equal(pack({ jti: 'a', sid: 'b' }))
    expect(pack({ jti: 5 })).to.not.equal(pack({ jti: '5' }))
    expect(pack({ jti: 'a', iat: 1 })).to.not.equal(pack({ jti: 'a', iat: 2 }))
  })

  it('works with more sets of claim names than it numbers', () => {
    const packed = new PackedClaims()
    for (let i = 0; i < 1500; i++) {
      const claims = { [`name${i}`]: i, jti: 'a' }
      const text = packed.pack(claims, { kid: 'k' })
      expect(packed.unpack(text)).to.deep.equal({ claims, header: { kid: 'k' } })
      expect(packed.pack(claims, { kid: 'k' })).to.equal(text)
    }
  })
})
