import { expect } from 'chai'
import fc from 'fast-check'
import { RuleTable } from '../../../shared/domain/rule-table.ts'
import { ruleOfRun, type PlainRun } from '../../../shared/domain/plain-run.ts'
import type { Reason } from '../../../shared/domain/reasons.ts'
import type { Rule } from '../../../shared/domain/rule.ts'
import type { Position } from '../../../shared/domain/position.ts'

const NOW = 1_800_000_000
const UUID = 'b2a5f4d0-7c1e-4b0a-9a53-1f2e3d4c5b6a'

interface Put {
  readonly shard: number
  readonly position: Position
  readonly rule: Rule
}

const claimsSeen = [
  { jti: UUID, sub: 'alice', sid: 's-1', iat: NOW - 100, exp: NOW + 100 },
  { jti: UUID, sub: 'alice', sid: 's-2', iat: NOW - 10, exp: NOW + 100 },
  { jti: 'other', sub: 'bob', sid: 's-1', iat: NOW - 50, exp: NOW + 100, aud: ['api', 'web'] },
  { jti: 'other', sub: 'bob', iat: NOW + 5, exp: NOW + 100, aud: 'api', n: 5 },
]

/** Everything a check can see of a table. */
function verdicts(table: RuleTable): unknown[] {
  return claimsSeen.map((claims) => table.verdict(claims, { kid: 'k-1' }))
}

const matches = fc.constantFrom<Rule['match']>(
  { jti: UUID },
  { jti: 'other' },
  { sub: 'alice' },
  { sub: 'bob', sid: 's-1' },
  { aud: 'api' },
  { kid: 'k-1' },
  {},
)

/** Versions as a store would write them: within one term and match, ids made of the place, each lifting some of what came before. */
const history: fc.Arbitrary<Put[]> = fc
  .array(
    fc.record({
      match: matches,
      term: fc.constantFrom(1000, 2000, 3000),
      plain: fc.boolean(),
      issuedBefore: fc.option(fc.integer({ min: NOW - 120, max: NOW + 10 }), { nil: null }),
      lift: fc.boolean(),
      held: fc.boolean(),
      reason: fc.constantFrom('logout' as const, 'breach' as const),
    }),
    { maxLength: 25 },
  )
  .map((steps) => {
    const puts: Put[] = []
    const seqs = new Map<number, number>()
    const ids = new Map<string, string[]>()
    for (const step of steps) {
      const seq = (seqs.get(step.term) ?? 0) + 1
      seqs.set(step.term, seq)
      const key = JSON.stringify(step.match)
      const known = ids.get(key) ?? []
      const id = `r1-${step.term}-${seq}-0`
      const lifted = step.lift && !step.plain ? known.slice(0, 2) : []
      const cutoffs = [{ id, issuedBefore: step.plain ? null : step.issuedBefore }]
      ids.set(key, [...known, id])
      puts.push({
        shard: 1,
        position: { term: step.term, seq },
        rule: {
          match: step.match,
          cutoffs: step.lift && !step.plain ? [] : cutoffs,
          held: step.held && !step.plain,
          until: NOW + 1000,
          reason: step.reason,
          ...(lifted.length > 0 ? { lifted } : {}),
        },
      })
    }
    return puts
  })

function tableOf(puts: readonly Put[]): RuleTable {
  const table = new RuleTable({ seed: 1 })
  for (const { shard, position, rule } of puts) table.put(shard, position, rule)
  return table
}

describe('RuleTable', () => {
  it('ends in the same state whatever the order and however often versions come', () => {
    fc.assert(
      fc.property(history, fc.infiniteStream(fc.nat()), (puts, random) => {
        const twice = [...puts, ...puts]
        for (let i = twice.length - 1; i > 0; i--) {
          const j = random.next().value % (i + 1)
          ;[twice[i], twice[j]] = [twice[j] as Put, twice[i] as Put]
        }
        expect(verdicts(tableOf(twice))).to.deep.equal(verdicts(tableOf(puts)))
      }),
      { numRuns: 500 },
    )
  })

  it('answers the same packed and unpacked', () => {
    fc.assert(
      fc.property(history, (puts) => {
        const unpacked = new RuleTable({ packed: false })
        for (const { shard, position, rule } of puts) unpacked.put(shard, position, rule)
        expect(verdicts(tableOf(puts))).to.deep.equal(verdicts(unpacked))
      }),
      { numRuns: 500 },
    )
  })

  it('keeps what an older term had said when a newer term, which never knew it, writes the rule anew', () => {
    const table = new RuleTable()
    table.put(
      0,
      { term: 1, seq: 9 },
      { match: { sub: 'a' }, cutoffs: [{ id: 'r0-1-9-0', issuedBefore: 200 }], until: 999 },
    )
    table.put(
      0,
      { term: 2, seq: 1 },
      { match: { sub: 'a' }, cutoffs: [{ id: 'r0-2-1-0', issuedBefore: 100 }], until: 999 },
    )
    expect(table.verdict({ sub: 'a', iat: 150 }, {})?.code).to.equal('revoked')
    table.put(
      0,
      { term: 2, seq: 2 },
      { match: { sub: 'a' }, until: 999, lifted: ['r0-2-1-0', 'r0-1-9-0'] },
    )
    expect(table.verdict({ sub: 'a', iat: 50 }, {})).to.equal(undefined)
  })

  it('forgets a plain revocation of an older term once a newer one says that it was lifted', () => {
    const table = new RuleTable()
    const match = { jti: UUID }
    table.put(
      3,
      { term: 1, seq: 4 },
      { match, cutoffs: [{ id: 'r3-1-4-7', issuedBefore: null }], until: NOW },
    )
    expect(table.packedBytes).to.be.greaterThan(0)
    expect(table.verdict({ jti: UUID }, {})?.code).to.equal('revoked')
    table.put(3, { term: 2, seq: 1 }, { match, until: NOW, lifted: ['r3-1-4-7'] })
    expect(table.verdict({ jti: UUID }, {})).to.equal(undefined)
  })

  it('lifts, where a rule says so, whatever earlier terms held, though nobody knows its ids any more', () => {
    const lost: Put = {
      shard: 0,
      position: { term: 1, seq: 9 },
      rule: { match: { sub: 'a' }, cutoffs: [{ id: 'r0-1-9-0', issuedBefore: null }], until: null },
    }
    const lifting: Put = {
      shard: 0,
      position: { term: 2, seq: 1 },
      rule: { match: { sub: 'a' }, until: null, liftedBefore: 2 },
    }
    for (const puts of [
      [lost, lifting],
      [lifting, lost],
    ]) {
      expect(tableOf(puts).verdict({ sub: 'a' }, {})).to.equal(undefined)
    }
  })

  it('ends the holds of earlier terms where a rule says so, and no cut-off of theirs', () => {
    const match = { sub: 'a' }
    const cutoffs = [{ id: 'r0-1-1-0', issuedBefore: NOW }]
    const old: Rule = { match, cutoffs, held: true, holdId: 'r0-1-2-0', until: NOW + 900 }
    const released: Rule = { match, until: NOW + 900, releasedBefore: 2 }
    const again: Rule = { ...released, held: true, holdId: 'r0-2-9-0' }
    const puts: [number, number, Rule][] = [
      [1, 2, old],
      [2, 8, released],
    ]
    for (const order of [puts, puts.toReversed()]) {
      const table = new RuleTable()
      for (const [term, seq, rule] of order) table.put(0, { term, seq }, rule)
      expect(table.verdict({ sub: 'a', iat: NOW + 5 }, {})).to.equal(undefined)
      expect(table.verdict({ sub: 'a', iat: NOW }, {})?.code).to.equal('revoked')
      table.put(0, { term: 2, seq: 9 }, again)
      expect(table.verdict({ sub: 'a', iat: NOW + 5 }, {})?.code).to.equal('held')
    }
  })

  it('lets a hold of an earlier term end with its until, though the match lives on', () => {
    const table = new RuleTable()
    const match = { sub: 'a' }
    const held: Rule = { match, held: true, holdId: 'r0-1-2-0', until: NOW }
    const cutoffs = [{ id: 'r0-2-1-0', issuedBefore: NOW - 50 }]
    table.put(0, { term: 1, seq: 2 }, held)
    table.put(0, { term: 2, seq: 1 }, { match, cutoffs, until: NOW + 900 })
    const codes = (): unknown[] =>
      [NOW - 50, NOW + 5].map((iat) => table.verdict({ sub: 'a', iat }, {})?.code)
    expect(table.prune(NOW, 100)).to.equal(0)
    expect(codes()).to.deep.equal(['revoked', 'held'])
    expect(table.prune(NOW + 1, 100)).to.equal(0)
    table.prune(NOW + 1, 100)
    expect(codes()).to.deep.equal(['revoked', undefined])
    expect(table.size).to.equal(1)
  })

  it('asks for the header only of tokens that carry the other claims of a rule with kid', () => {
    const table = new RuleTable()
    const match = { kid: 'k', sub: 'a' }
    table.put(
      0,
      { term: 1, seq: 1 },
      { match, cutoffs: [{ id: 'a', issuedBefore: null }], until: null },
    )
    expect(table.verdict({ sub: 'a' }, undefined)?.code).to.equal('header_needed')
    expect(table.verdict({ sub: 'b' }, undefined)).to.equal(undefined)
    table.put(0, { term: 1, seq: 2 }, { match, until: null, lifted: ['a'] })
    expect(table.verdict({ sub: 'a' }, undefined)).to.equal(undefined)
  })

  it('covers a token when any of its audiences is equal', () => {
    const table = new RuleTable()
    table.put(
      0,
      { term: 1, seq: 1 },
      {
        match: { aud: 'api', sub: 'a' },
        cutoffs: [{ id: 'r0-1-1-0', issuedBefore: null }],
        until: null,
      },
    )
    expect(table.verdict({ sub: 'a', aud: ['web', 'api'] }, {})?.code).to.equal('revoked')
    expect(table.verdict({ sub: 'a', aud: 'api' }, {})?.code).to.equal('revoked')
    expect(table.verdict({ sub: 'a', aud: ['web'] }, {})).to.equal(undefined)
    expect(table.verdict({ sub: 'a' }, {})).to.equal(undefined)
  })

  it('compares values with their type', () => {
    const table = new RuleTable()
    table.put(
      0,
      { term: 1, seq: 1 },
      { match: { n: 5 }, cutoffs: [{ id: 'a', issuedBefore: null }], until: null },
    )
    expect(table.verdict({ n: 5 }, {})?.code).to.equal('revoked')
    expect(table.verdict({ n: '5' }, {})).to.equal(undefined)
  })

  it('asks for the header while a live rule names kid, and no longer once it is lifted', () => {
    const table = new RuleTable()
    const match = { kid: 'k' }
    table.put(
      0,
      { term: 1, seq: 1 },
      { match, cutoffs: [{ id: 'a', issuedBefore: null }], until: null },
    )
    expect(table.verdict({ sub: 'a' }, undefined)?.code).to.equal('header_needed')
    expect(table.verdict({ sub: 'a' }, { kid: 'k' })?.code).to.equal('revoked')
    expect(table.verdict({ sub: 'a' }, { kid: 'other' })).to.equal(undefined)
    table.put(0, { term: 1, seq: 2 }, { match, until: null, lifted: ['a'] })
    expect(table.verdict({ sub: 'a' }, undefined)).to.equal(undefined)
  })

  it('kills by a whole-tenant rule and spares what carries the exception', () => {
    const table = new RuleTable()
    const cutoffs = [{ id: 'a', issuedBefore: 100, except: { sid: 's' } }]
    table.put(0, { term: 1, seq: 1 }, { match: {}, cutoffs, until: 999 })
    expect(table.verdict({ iat: 100 }, {})?.code).to.equal('revoked')
    expect(table.verdict({ iat: 100.9 }, {})?.code).to.equal('revoked')
    expect(table.verdict({ iat: 101 }, {})).to.equal(undefined)
    expect(table.verdict({ iat: 100, sid: 's' }, {})).to.equal(undefined)
  })

  it('drops a rule only when its until has passed', () => {
    const table = new RuleTable()
    const cutoffs = [{ id: 'a', issuedBefore: null }]
    table.put(0, { term: 1, seq: 1 }, { match: { sub: 'a' }, cutoffs, until: 100 })
    table.put(0, { term: 1, seq: 2 }, { match: { kid: 'k' }, cutoffs, until: null })
    expect(table.prune(100, 100)).to.equal(0)
    expect(table.prune(101, 100)).to.equal(1)
    expect(table.size).to.equal(1)
    expect(table.verdict({ sub: 'a' }, {})).to.equal(undefined)
  })

  it('takes a run as it takes its rules one by one, whatever it held before', () => {
    const jtis = [UUID, UUID.replace('b', 'c'), UUID.replace('a', 'e'), '-'.repeat(36)]
    const put = fc.record({
      jti: fc.constantFrom(...jtis),
      term: fc.integer({ min: 0, max: 3 }),
      seq: fc.constantFrom(0, 1, 2, 3, 2 ** 32 - 1, 2 ** 32),
      isPlain: fc.boolean(),
    })
    const runs = fc.record({
      term: fc.integer({ min: 0, max: 3 }),
      reason: fc.constantFrom<Reason>('other', 'logout'),
      rows: fc.array(
        fc.record({
          jti: fc.constantFrom(...jtis),
          seq: fc.constantFrom(0, 1, 2, 3, 2 ** 32 - 1, 2 ** 32),
          index: fc.nat({ max: 3 }),
          until: fc.constantFrom(0, NOW, NOW + 5000, NOW + 10 ** 9, 2 ** 32, 2 ** 40),
        }),
        { maxLength: 8 },
      ),
    })
    fc.assert(
      fc.property(
        fc.array(put),
        fc.array(runs, { maxLength: 4 }),
        fc.boolean(),
        (puts, all, packed) => {
          const [one, other] = [0, 1].map(() => new RuleTable({ seed: 7, packed })) as [
            RuleTable,
            RuleTable,
          ]
          for (const { jti, term, seq, isPlain } of puts) {
            const cutoffs = [{ id: `r1-${term}-${seq}-0`, issuedBefore: isPlain ? null : NOW }]
            const rule: Rule = { match: { jti }, until: NOW + 9000, cutoffs, reason: 'breach' }
            for (const table of [one, other]) table.put(1, { term, seq }, rule)
          }
          for (const { term, reason, rows } of all) {
            const run: PlainRun = {
              shard: 1,
              epoch: `${term}.0`,
              term,
              reason,
              jtis: rows.map(({ jti }) => jti).join(''),
              seqs: rows.map(({ seq }) => seq),
              indexes: rows.map(({ index }) => index),
              untils: rows.map(({ until }) => until),
            }
            const news: number[] = []
            one.putRun(run, (at) => news.push(at))
            const expected = rows.flatMap((_, at) => {
              const { position, rule } = ruleOfRun(run, at)
              return other.put(1, position, rule) ? [at] : []
            })
            expect(news).to.deep.equal(expected)
          }
          expect([one.size, one.packedBytes]).to.deep.equal([other.size, other.packedBytes])
          for (const jti of jtis)
            expect(one.effect(1, { jti })).to.deep.equal(other.effect(1, { jti }))
        },
      ),
    )
  })
})
