import { expect } from 'chai'
import { judgeTimes } from '../../../shared/domain/decision.ts'
import { largestTtl, planTtlChange, ttlAt } from '../../../shared/domain/max-token-ttl.ts'

const NOW = 1_800_000_000
const STEPS = [{ from: 0, seconds: 3600 }]

describe('judgeTimes', () => {
  const rows: [string, Record<string, unknown>, string | undefined][] = [
    ['lets a token in before its exp', { iat: NOW - 1, exp: NOW + 1 }, undefined],
    ['refuses at exp itself', { iat: NOW - 1, exp: NOW }, 'expired'],
    ['lets a fractional exp live to its fraction', { iat: NOW - 1, exp: NOW + 0.5 }, undefined],
    ['refuses without exp', { iat: NOW }, 'exp_required'],
    ['refuses an exp that is no number', { iat: NOW, exp: '1' }, 'exp_required'],
    ['refuses without iat', { exp: NOW + 1 }, 'iat_required'],
    ['takes an iat 60 s ahead', { iat: NOW + 60, exp: NOW + 100 }, undefined],
    ['refuses an iat 61 s ahead', { iat: NOW + 61, exp: NOW + 100 }, 'iat_in_future'],
    ['takes the longest life', { iat: NOW - 10, exp: NOW + 3590 }, undefined],
    ['refuses a second more', { iat: NOW - 10, exp: NOW + 3591 }, 'token_too_long_lived'],
    ['takes 16 audiences', { iat: NOW, exp: NOW + 1, aud: Array(16).fill('a') }, undefined],
    ['refuses 17', { iat: NOW, exp: NOW + 1, aud: Array(17).fill('a') }, 'too_many_audiences'],
  ]
  for (const [title, claims, code] of rows) {
    it(title, () => expect(judgeTimes(claims, NOW, STEPS)).to.equal(code))
  }
})

describe('the longest token life', () => {
  it('lets a larger one count at once but take force after the old maximum and the leeway', () => {
    const steps = planTtlChange(STEPS, 7200, NOW)
    expect(steps).to.deep.equal([...STEPS, { from: NOW + 3600 + 60, seconds: 7200 }])
    expect(largestTtl(steps, NOW)).to.equal(7200)
    expect(ttlAt(steps, NOW)).to.equal(3600)
    expect(ttlAt(steps, NOW + 3660)).to.equal(7200)
  })

  it('lets a smaller one take force at once and the old one count while its tokens live', () => {
    const steps = planTtlChange(STEPS, 600, NOW)
    expect(ttlAt(steps, NOW)).to.equal(600)
    expect(ttlAt(steps, NOW - 1)).to.equal(3600)
    expect(largestTtl(steps, NOW + 3660)).to.equal(3600)
    expect(largestTtl(steps, NOW + 3661)).to.equal(600)
  })

  it('lets a change back before the larger one took force end in the old one', () => {
    const steps = planTtlChange(planTtlChange(STEPS, 7200, NOW), 3600, NOW + 10)
    expect(ttlAt(steps, NOW + 9000)).to.equal(3600)
  })
})
