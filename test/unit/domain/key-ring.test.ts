import { expect } from 'chai'
import fc from 'fast-check'
import {
  EMPTY_RING,
  keyIn,
  planAddition,
  planRetirement,
  planRevocation,
  planRotation,
  planStart,
  rotationProblem,
  verifies,
  type RingKey,
  type SigningRing,
} from '../../../shared/domain/key-ring.ts'

let made = 0
const fresh = (now: number, alg: RingKey['alg'] = 'ES256'): RingKey[] =>
  [0, 1].map(() => ({
    kid: `k${(made += 1)}`,
    alg,
    state: 'next',
    createdAt: now,
    ...(alg === 'HS256' ? {} : { jwk: {} }),
    sealed: 'sealed',
  }))
const states = ({ keys }: SigningRing): string[] => keys.map(({ state }) => state)

describe('A ring of signing keys', () => {
  it('begins with a key that signs and one that is published', () => {
    const ring = planStart(EMPTY_RING, 100, fresh(100))
    expect(states(ring)).to.deep.equal(['active', 'next'])
    expect(keyIn(ring, 'active')?.activeAt).to.equal(100)
    expect(planStart(ring, 200, fresh(200))).to.equal(ring)
  })

  it('lets the published key sign at a rotation, and the last one verify until what it signed is dead', () => {
    const ring = planStart(EMPTY_RING, 100, fresh(100))
    const rotated = planRotation(ring, 200, 900, fresh(200))
    expect(states(rotated)).to.deep.equal(['retiring', 'active', 'next'])
    expect(keyIn(rotated, 'active')?.kid).to.equal(keyIn(ring, 'next')?.kid)
    expect(keyIn(rotated, 'retiring')).to.include({ endedAt: 200, retiresAt: 200 + 900 + 60 })
    expect(planRetirement(rotated, 1159)).to.equal(rotated)
    expect(states(planRetirement(rotated, 1160))).to.deep.equal(['retired', 'active', 'next'])
  })

  it('forgets a private key when it stops signing, and a secret when it stops verifying', () => {
    for (const [alg, kept] of [
      ['ES256', undefined],
      ['HS256', 'sealed'],
    ] as const) {
      const ring = planRotation(planStart(EMPTY_RING, 1, fresh(1, alg)), 2, 10, fresh(2, alg))
      expect(keyIn(ring, 'retiring')?.sealed).to.equal(kept)
      const [retired] = planRetirement(ring, 1000).keys
      expect(retired).to.include({ state: 'retired' }).and.not.have.property('sealed')
    }
  })

  it('goes on with another key when one is revoked, whichever it is', () => {
    const ring = planRotation(planStart(EMPTY_RING, 1, fresh(1)), 2, 900, fresh(2))
    for (const { kid } of ring.keys) {
      const after = planRevocation(ring, kid, 3, fresh(3))
      expect(after.keys.find((key) => key.kid === kid)).to.include({ state: 'revoked' })
      expect(keyIn(after, 'active')?.kid).to.be.a('string').and.not.equal(kid)
      expect(keyIn(after, 'next')?.kid).to.be.a('string').and.not.equal(kid)
      expect(planRevocation(after, kid, 4, fresh(4))).to.equal(after)
    }
    expect(planRevocation(ring, 'unknown', 3, fresh(3))).to.equal(ring)
  })

  it('takes a key made elsewhere as the next one', () => {
    const ring = planStart(EMPTY_RING, 1, fresh(1))
    const [own] = fresh(2) as [RingKey]
    const added = planAddition(ring, own)
    expect(states(added)).to.deep.equal(['active', 'next'])
    expect(keyIn(planRotation(added, 3, 10, fresh(3)), 'active')?.kid).to.equal(own.kid)
  })

  it('says when a rotation comes too early, and when too many keys verify', () => {
    let ring = planStart(EMPTY_RING, 1000, fresh(1000))
    expect(rotationProblem(ring, 1299)).to.deep.equal({ code: 'key_too_new', waitSeconds: 1 })
    expect(rotationProblem(ring, 1300)).to.equal(undefined)
    let now = 1300
    while (ring.keys.length < 50) ring = planRotation(ring, (now += 1), 900, fresh(now))
    expect(rotationProblem(ring, now)).to.deep.equal({
      code: 'too_many_keys',
      waitSeconds: 1301 + 960 - now,
    })
    const later = planRetirement(ring, 1301 + 960)
    expect(rotationProblem(later, 1301 + 960)).to.equal(undefined)
  })

  it('always has one key that signs, never a dead one that verifies, and stays small', () => {
    const step = fc.oneof(
      fc.constant('rotate' as const),
      fc.constant('retire' as const),
      fc.nat(30).map((index) => ({ revoke: index })),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let now = 1
        let ring = planStart(EMPTY_RING, now, fresh(now))
        const dead = new Set<string>()
        for (const each of steps) {
          now += 100
          if (each === 'rotate') ring = planRotation(ring, now, 500, fresh(now))
          else if (each === 'retire') ring = planRetirement(ring, now)
          else {
            const { kid = '' } = ring.keys[each.revoke % ring.keys.length] ?? {}
            dead.add(kid)
            ring = planRevocation(ring, kid, now, fresh(now))
          }
          const count = (state: string): number =>
            ring.keys.filter((key) => key.state === state).length
          expect(count('active')).to.equal(1)
          expect(count('next')).to.equal(1)
          expect(keyIn(ring, 'active')?.sealed).to.equal('sealed')
          expect(ring.keys.filter(verifies).some(({ kid }) => dead.has(kid))).to.equal(false)
          expect(count('retired') + count('revoked')).to.be.at.most(20)
        }
      }),
    )
  })
})
