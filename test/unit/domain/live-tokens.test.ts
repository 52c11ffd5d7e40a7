import { expect } from 'chai'
import fc from 'fast-check'
import { carries, type Claims, type Match } from '../../../shared/domain/claims.ts'
import { LiveTokens, NONE } from '../../../shared/domain/live-tokens.ts'

const START = 1_800_000_000

interface Target {
  readonly name: number
}

const small = (...values: readonly unknown[]): fc.Arbitrary<unknown> =>
  fc.constantFrom(...values, undefined)

/** Few values, so that tokens share them, and some that only look alike. */
const claimsSeen: fc.Arbitrary<Claims> = fc
  .record({
    jti: small('a', 'b', 'c', 'd', 5, '5'),
    sid: small('s', 't', true, 'true'),
    sub: small('a', 'u'),
    aud: small('x', ['x', 'y'], 'z'),
    plan: small(1, 2),
    exp: small(START + 1, START + 2, START + 2.5, START + 9, 2 ** 31, 2 ** 40, NaN),
  })
  .map(
    (claims) =>
      Object.fromEntries(Object.entries(claims).filter(([, v]) => v !== undefined)) as Claims,
  )

const matches = fc.constantFrom<Match>(
  { jti: 'a' },
  { jti: 5 },
  { jti: 'nobody' },
  { sid: 't' },
  { sid: true },
  { sub: 'u' },
  { sub: 'a', sid: 's' },
  { sub: 'u', plan: 1 },
  { plan: 2 },
  { aud: 'y' },
  {},
)

type Step =
  | { readonly do: 'add'; readonly claims: Claims }
  | { readonly do: 'remove'; readonly nth: number }
  | { readonly do: 'rule' | 'restore'; readonly match: Match }
  | { readonly do: 'time'; readonly by: number }
  | { readonly do: 'judge'; readonly count: number; readonly passes: boolean }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('add' as const), claims: claimsSeen }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), nth: fc.nat(50) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('rule' as const), match: matches }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restore' as const), match: matches }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('time' as const), by: fc.nat(3) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('judge' as const),
        count: fc.nat(8),
        passes: fc.boolean(),
      }),
    },
  ),
  { maxLength: 120 },
)

/** Every token in a plain list, judged whole, beside the index, which judges only what it hands out. */
class Both {
  readonly index = new LiveTokens<Target>({ seed: 7 })
  readonly live = new Map<number, { readonly claims: Claims; readonly row: number }>()
  rules: Match[] = []
  now = START
  #names = 0

  isDead(claims: Claims): boolean {
    const { exp } = claims
    if (typeof exp === 'number' && exp <= this.now) return true
    return this.rules.some((match) => carries(match, claims))
  }

  run(step: Step): void {
    if (step.do === 'add') this.add(step.claims)
    if (step.do === 'remove') {
      const [name, { row }] = [...this.live][step.nth] ?? [undefined, { row: NONE }]
      if (name === undefined) return
      this.live.delete(name)
      this.index.remove(row)
    }
    if (step.do === 'rule') {
      this.rules.push(step.match)
      this.index.queueMatch(step.match)
    }
    if (step.do === 'restore') this.rules = this.rules.filter((match) => match !== step.match)
    if (step.do === 'time') {
      this.now += step.by
      this.index.queueDue(this.now)
    }
    if (step.do === 'judge') this.judge(step.count, step.passes)
  }

  add(claims: Claims): void {
    if (this.isDead(claims)) return
    const text = this.index.pack(claims, undefined)
    if (this.index.find(text, claims) !== NONE) return
    const name = this.#names++
    this.live.set(name, { claims, row: this.index.add(text, claims, { name }) })
  }

  judge(count: number, passes: boolean): void {
    for (let i = 0; i < count; i++) {
      let row = this.index.takeQueued()
      if (row === NONE && passes) row = this.index.takePassed()
      if (row === NONE) return
      const { claims } = this.index.read(row)
      const name = this.index.target(row)?.name ?? -1
      expect(this.live.get(name)?.row).to.equal(row)
      if (!this.isDead(claims)) {
        this.index.keep(row, claims)
        continue
      }
      this.live.delete(name)
      this.index.remove(row)
    }
  }

  /** What must hold whenever nothing is left to judge. */
  expectSettled(): void {
    this.judge(Infinity, true)
    for (const { claims } of this.live.values()) expect(this.isDead(claims)).to.equal(false)
    this.expectSame()
  }

  expectSame(): void {
    const { index, live } = this
    expect(index.size).to.equal(live.size)
    const names = new Set<number>()
    index.forEach(({ name }) => names.add(name))
    expect(names).to.deep.equal(new Set(live.keys()))
    for (const { claims, row } of live.values()) {
      expect(index.find(index.pack(claims, undefined), claims)).to.equal(row)
    }
  }
}

describe('LiveTokens', () => {
  it('hands out every token that a rule or its time may have ended, in any order of what happens', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const both = new Both()
        for (const step of all) {
          both.run(step)
          both.expectSame()
        }
        both.expectSettled()
      }),
      { numRuns: 500 },
    )
  })

  it('hands out only the tokens that carry the jti, sid or sub that a rule names', () => {
    const index = new LiveTokens<number>()
    for (let i = 0; i < 1000; i++) {
      const claims = { jti: `j${i}`, sid: `s${i >> 1}`, sub: `u${i % 10}` }
      index.add(index.pack(claims, undefined), claims, i)
    }
    const named = (match: Match): number[] => {
      index.queueMatch(match)
      const found: number[] = []
      for (let row = index.takeQueued(); row !== NONE; row = index.takeQueued()) {
        found.push(index.target(row) as number)
      }
      expect(index.isPassing).to.equal(false)
      return found.sort((a, b) => a - b)
    }
    expect(named({ jti: 'j500' })).to.deep.equal([500])
    expect(named({ sid: 's250' })).to.deep.equal([500, 501])
    expect(named({ sub: 'u3' })).to.have.length(100)
    expect(named({ sub: 'u3', jti: 'j500' })).to.deep.equal([500])
    expect(named({ sub: 'u3', sid: 's250' })).to.deep.equal([500, 501])
    expect(named({ jti: 'j1000' })).to.deep.equal([])
  })

  it('goes through all tokens once for many rules that name none of these', () => {
    const index = new LiveTokens<number>()
    for (let i = 0; i < 100; i++) {
      const claims = { jti: `j${i}` }
      index.add(index.pack(claims, undefined), claims, i)
    }
    index.queueMatch({ client_id: 'a' })
    for (let i = 0; i < 40; i++) index.takePassed()
    index.queueMatch({ client_id: 'b' })
    index.queueMatch({ kid: 'k' })
    let count = 0
    while (index.takePassed() !== NONE) count += 1
    expect(count).to.equal(100)
  })

  it('counts a second once, however often it is used and left, and tells the next one', () => {
    const index = new LiveTokens<number>()
    const add = (jti: string, exp: number): number =>
      index.add(index.pack({ jti, exp }, undefined), { jti, exp }, 0)
    const stays = add('stays', START + 5)
    for (let i = 0; i < 1000; i++) index.remove(add('goes', START + 3))
    expect(index.nextDue).to.equal(START + 3)
    add('later', START + 4.2)
    index.queueDue(START + 4)
    expect(index.takeQueued()).to.equal(NONE)
    expect(index.nextDue).to.equal(START + 5)
    index.queueDue(START + 5)
    expect([index.takeQueued(), index.takeQueued()]).to.include(stays)
    expect(index.takeQueued()).to.equal(NONE)
    expect(index.nextDue).to.equal(undefined)
  })

  it('misses none in a pass that began in the middle while tokens came', () => {
    const index = new LiveTokens<number>()
    const add = (i: number): number => index.add(index.pack({ n: i }, undefined), { n: i }, i)
    for (let i = 0; i < 100; i++) add(i)
    index.queueAll()
    for (let i = 0; i < 40; i++) index.takePassed()
    index.queueAll()
    for (let i = 100; i < 150; i++) add(i)
    const seen = new Set<number>()
    for (let row = index.takePassed(); row !== NONE; row = index.takePassed()) seen.add(row)
    for (let i = 0; i < 100; i++) expect(seen.has(i)).to.equal(true)
  })

  it('goes through all where very many share the value that a rule names', () => {
    const index = new LiveTokens<number>()
    const count = 10_005
    for (let i = 0; i < count; i++) {
      const claims = { jti: `j${i}`, sub: 'service' }
      index.add(index.pack(claims, undefined), claims, i)
    }
    index.queueMatch({ sub: 'service' })
    const seen = new Set<number>()
    for (let row = index.takeQueued(); row !== NONE; row = index.takeQueued()) seen.add(row)
    expect(seen.size).to.equal(10_000)
    for (let row = index.takePassed(); row !== NONE; row = index.takePassed()) seen.add(row)
    expect(seen.size).to.equal(count)
  })

  it('clears away seconds that nobody uses any more, and keeps those in use', () => {
    const index = new LiveTokens<number>()
    const add = (jti: string, exp: number): number =>
      index.add(index.pack({ jti, exp }, undefined), { jti, exp }, 0)
    const used = new Map<number, number>()
    // Each second is left again, but for every tenth; then some are used once more.
    for (let i = 5000; i > 0; i--) {
      const row = add(`j${i}`, START + i)
      if (i % 10 === 0) used.set(START + i, row)
      else index.remove(row)
    }
    for (let i = 3; i < 5000; i += 100) used.set(START + i, add(`again${i}`, START + i))
    const seen: number[] = []
    for (let now = START; now <= START + 5000; now++) {
      index.queueDue(now)
      for (let row = index.takeQueued(); row !== NONE; row = index.takeQueued()) {
        expect(row).to.equal(used.get(now))
        seen.push(now)
        index.remove(row)
      }
    }
    expect(seen).to.deep.equal([...used.keys()].sort((a, b) => a - b))
    expect(index.nextDue).to.equal(undefined)
  })

  it('finds each of very many, and gives all memory back when the last has gone', () => {
    const index = new LiveTokens<number>()
    const count = 50_000
    const claimsOf = (i: number): Claims => ({
      jti: `j${i}`,
      sub: `u${i % 7}`,
      exp: START + (i % 99),
    })
    const rows = Array.from({ length: count }, (_, i) =>
      index.add(index.pack(claimsOf(i), undefined), claimsOf(i), i),
    )
    for (let i = 0; i < count; i++) {
      expect(index.find(index.pack(claimsOf(i), undefined), claimsOf(i))).to.equal(rows[i])
    }
    expect(index.bytes / count).to.be.below(100)
    // Out of order, and by due seconds for a third of them.
    for (let i = 0; i < count; i += 2) index.remove(rows[i] as number)
    index.queueDue(START + 33)
    for (let row = index.takeQueued(); row !== NONE; row = index.takeQueued()) index.remove(row)
    index.queueMatch({ sub: 'u3' })
    for (let row = index.takeQueued(); row !== NONE; row = index.takeQueued()) {
      expect(index.read(row).claims['sub']).to.equal('u3')
      index.remove(row)
    }
    const left = rows.filter((_, i) => i % 2 === 1 && i % 99 > 33 && i % 7 !== 3)
    expect(index.size).to.equal(left.length)
    for (const row of left) index.remove(row)
    expect(index.size).to.equal(0)
    expect(index.bytes).to.be.below(1000)
  })
})
