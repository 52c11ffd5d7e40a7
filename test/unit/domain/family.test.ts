import { expect } from 'chai'
import fc from 'fast-check'
import { planRefresh, type FamilyState } from '../../../shared/domain/family.ts'
import {
  formatRefreshToken,
  MAX_GENERATION,
  macTextOf,
  parseRefreshToken,
} from '../../../shared/domain/refresh-token.ts'
import { FamilyModel, familySteps } from '../../support/family-model.ts'

const GRACE = 10_000
const FAMILY: FamilyState = {
  generation: 3,
  current: 'h3',
  previous: 'h2',
  rotatedAt: 1_000_000,
  startedAt: 900,
  endsAt: 2000,
}

describe('a refresh token', () => {
  const token = { family: 'A-_'.padEnd(22, 'x'), generation: 42, mac: 'm'.repeat(43) }

  it('is read as it was written', () => {
    const text = formatRefreshToken(token)
    expect(parseRefreshToken(text)).to.deep.equal(token)
    const last = { ...token, generation: MAX_GENERATION }
    expect(parseRefreshToken(formatRefreshToken(last))).to.deep.equal(last)
  })

  it('is nothing else, however it looks', () => {
    const text = formatRefreshToken(token)
    const bad: unknown[] = [
      undefined,
      null,
      7,
      {},
      [text],
      '',
      text.slice(0, -1),
      `${text}x`,
      `${text}\n`,
      ` ${text}`,
      text.replace('kr1', 'kr2'),
      text.replace('.42.', '.0.'),
      text.replace('.42.', '.042.'),
      text.replace('.42.', '.-1.'),
      text.replace('.42.', '.4e1.'),
      text.replace('.42.', `.${MAX_GENERATION + 1}.`),
      text.replace('A-_', 'A+/'),
      'x'.repeat(1_000_000),
    ]
    for (const one of bad)
      expect(parseRefreshToken(one), String(one).slice(0, 99)).to.equal(undefined)
    fc.assert(fc.property(fc.string(), (some) => parseRefreshToken(some) === undefined))
  })

  it('is bound to its tenant, family, generation and seed', () => {
    const texts = [
      macTextOf('a', token, 's'),
      macTextOf('b', token, 's'),
      macTextOf('a', { ...token, generation: 4 }, '2s'),
      macTextOf('a', { ...token, family: 'other' }, 's'),
      macTextOf('a', token, 't'),
    ]
    expect(new Set(texts).size).to.equal(texts.length)
  })
})

describe('a family', () => {
  const plan = (generation: number, hash: string, now: number, more: Partial<FamilyState> = {}) =>
    planRefresh({ ...FAMILY, ...more }, { generation, hash }, now, GRACE)

  it('takes the newest token, and one that a store which was rolled back does not know yet', () => {
    expect(plan(3, 'h3', 1_000_001)).to.equal('rotate')
    expect(plan(4, 'h4', 1_000_001)).to.equal('rotate')
    expect(plan(999, 'h999', 1_999_999)).to.equal('rotate')
  })

  for (const [by, expected] of [
    [-1, 'same'],
    [0, 'reuse'],
    [1, 'reuse'],
  ] as const) {
    it(`${by} ms after the grace takes a token that was used as ${expected}`, () => {
      expect(plan(2, 'h2', FAMILY.rotatedAt + GRACE + by)).to.equal(expected)
    })
  }

  it('without grace takes each second use as a reuse', () => {
    const presented = { generation: 2, hash: 'h2' }
    expect(planRefresh(FAMILY, presented, FAMILY.rotatedAt, 0)).to.equal('reuse')
  })

  it('takes every older token as a reuse, at once', () => {
    expect(plan(1, 'h1', FAMILY.rotatedAt)).to.equal('reuse')
    expect(plan(1, 'h1', 1_999_999)).to.equal('reuse')
  })

  it('is not killed by a token that was never given out', () => {
    expect(plan(3, 'other', 1_000_001)).to.equal('unknown')
    expect(plan(2, 'other', 1_000_001)).to.equal('unknown')
  })

  for (const [by, expected] of [
    [-1, 'rotate'],
    [0, 'ended'],
    [1, 'ended'],
  ] as const) {
    it(`${by} ms from its end answers ${expected}`, () => {
      expect(plan(3, 'h3', 2_000_000 + by)).to.equal(expected)
    })
  }

  it('ends where generations do', () => {
    expect(plan(MAX_GENERATION, 'x', 1_000_001)).to.equal('ended')
    expect(plan(MAX_GENERATION - 1, 'x', 1_000_001)).to.equal('rotate')
  })

  it('that is dead is dead for every token', () => {
    for (const generation of [1, 2, 3, 4]) {
      expect(plan(generation, `h${generation}`, 1_000_001, { dead: 'reuse' })).to.equal('dead')
    }
  })

  it('does what a plain list of its tokens says, in whatever order and time they come', () => {
    fc.assert(
      fc.property(familySteps, (steps) => {
        const model = new FamilyModel(GRACE, 100_000)
        let family: FamilyState = {
          generation: 1,
          current: 'h1',
          previous: '',
          rotatedAt: 0,
          startedAt: 0,
          endsAt: 100,
        }
        let now = 0
        for (const { wait, back } of steps) {
          now += wait
          const generation = Math.max(1, family.generation - back)
          const hash = `h${generation}`
          const plan = planRefresh(family, { generation, hash }, now, GRACE)
          const expected = model.present(generation, now)
          expect({ plan, newest: family.generation + Number(plan === 'rotate') }).to.deep.equal(
            expected,
          )
          if (plan === 'rotate') {
            family = {
              ...family,
              generation: generation + 1,
              previous: hash,
              current: `h${generation + 1}`,
              rotatedAt: now,
            }
          } else if (plan === 'reuse') family = { ...family, dead: 'reuse' }
        }
      }),
      { numRuns: 2000 },
    )
  })
})
