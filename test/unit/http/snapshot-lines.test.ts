import { expect } from 'chai'
import * as fc from 'fast-check'
import { ruleOfRun } from '../../../shared/domain/plain-run.ts'
import { reasons } from '../../../shared/domain/reasons.ts'
import { linesOf, linesWithRuns, type RulesLine } from '../../../shared/http/snapshot-lines.ts'
import { parseSnapshotLine, type RuleLine } from '../../../shared/subscriber/messages.ts'

const EPOCH = '1732212000000.9f2c'
const JTI = 'b2a5f4d0-7c1e-4b0a-9a53-1f2e3d4c5b6a'
const STORED = `${EPOCH}-18231\n{"match":{"jti":"${JTI}"},"cutoffs":[{"id":"r2-1732212000000-18231-7","issuedBefore":null}],"held":false,"until":1732298805,"reason":"logout"}\n`

/** What a subscriber reads of these lines, rule by rule, in an order of its own. */
function read(lines: readonly RulesLine[]): readonly object[] {
  const rules = lines.flatMap(({ line, count }) => {
    const value = parseSnapshotLine(JSON.parse(line))
    if (value === undefined || value.end) throw new Error('This is no rule.')
    if (!('run' in value)) {
      expect(count).to.equal(1)
      return [value]
    }
    const { shard, epoch, seqs } = value.run
    expect(count).to.equal(seqs.length)
    return seqs.map((_, at): RuleLine => ({
      end: false,
      shard,
      epoch,
      ...ruleOfRun(value.run, at),
    }))
  })
  return rules.map((each) => JSON.stringify(each, sorted)).toSorted() as unknown as object[]
}

function sorted(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function seldom<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value })
}

describe('the lines of a snapshot', () => {
  it('say of each rule the same in runs as one by one', () => {
    const epoch = fc.constantFrom(EPOCH, '1732212000000.0', '7.abc')
    const number = fc.oneof(fc.nat(), fc.nat({ max: 3 }), fc.nat({ max: 10 ** 9 }))
    const stored = fc
      .record({
        epoch,
        made: seldom(epoch),
        madeIn: fc.constantFrom(2, 2, 2, 2, 3),
        seq: number,
        madeAt: seldom(number),
        jti: fc.oneof(
          { weight: 9, arbitrary: fc.uuid() },
          { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }) },
        ),
        index: fc.nat({ max: 499 }),
        until: number,
        reason: fc.constantFrom(...reasons.slice(0, 3)),
        more: fc.constantFrom('', '', '', '', ',"lifted":["r1"]'),
        rest: fc.constantFrom('', '', '', '', '{"c":[]}'),
      })
      .map(({ epoch: at, made = at, madeIn, seq, madeAt = seq, ...one }) => {
        const id = `r${madeIn}-${made.split('.')[0]}-${madeAt}-${one.index}`
        const match = JSON.stringify({ jti: one.jti })
        return `${at}-${seq}\n{"match":${match},"cutoffs":[{"id":"${id}","issuedBefore":null}],"held":false,"until":${one.until},"reason":"${one.reason}"${one.more}}\n${one.rest}`
      })
    let inRuns = 0
    fc.assert(
      fc.property(fc.array(stored, { maxLength: 60, size: 'max' }), (rules) => {
        const lines = linesWithRuns({ shard: 2, rules })
        expect(read(lines)).to.deep.equal(read(linesOf({ shard: 2, rules })))
        inRuns += rules.length - lines.length
      }),
    )
    expect(inRuns).to.be.above(200)
  })

  it('put plain rules of one epoch and reason into one line, up to 500', () => {
    const rules = Array.from({ length: 1001 }, () => STORED)
    const counts = linesWithRuns({ shard: 2, rules }).map(({ count }) => count)
    expect(counts).to.deep.equal([500, 500, 1])
    expect(linesOf({ shard: 2, rules })).to.have.lengthOf(1001)
  })

  const others: readonly [string, string][] = [
    ['was made in another shard', STORED.replace('"r2-', '"r3-')],
    ['was made in another term', STORED.replace('r2-1732212000000', 'r2-1732212000001')],
    ['was written again later', STORED.replace('-18231\n', '-18232\n')],
    ['has no end', STORED.replace('1732298805', 'null')],
    ['is held', STORED.replace('false', 'true')],
    ['spares some', STORED.replace('null}', 'null,"except":{"sid":"s"}}')],
    ['has a time', STORED.replace('null', '1732212345')],
    ['has more to it in the store', `${STORED}{"c":[]}`],
    ['is of another claim', STORED.replace('"jti"', '"sid"')],
    ['names its jti otherwise', STORED.replace('b2a5', 'B2A5')],
  ]
  for (const [what, text] of others) {
    it(`leave a rule by itself that ${what}`, () => {
      const lines = linesWithRuns({ shard: 2, rules: [STORED, text, STORED] })
      expect(lines.map(({ count }) => count)).to.deep.equal([1, 2])
      expect(lines[0]).to.deep.equal(linesOf({ shard: 2, rules: [text] })[0])
    })
  }
})
