import { expect } from 'chai'
import fc from 'fast-check'
import { parseAcks } from '../../../shared/domain/ack.ts'
import { parseBeat } from '../../../shared/domain/beat.ts'
import { parseMatch } from '../../../shared/domain/claims.ts'
import { parseEntry, parseRule } from '../../../shared/domain/entry.ts'
import { errorCodes } from '../../../shared/domain/errors.ts'
import { reasons } from '../../../shared/domain/reasons.ts'
import { parseSnapshotHead, parseSnapshotLine } from '../../../shared/subscriber/messages.ts'
import * as valid from '../../support/arbitrary-messages.ts'
import { decisionCodes } from '../../support/decision-codes.ts'
import { contractSchemas, createChecker } from '../../support/contract-schemas.ts'
import { nearMiss } from '../../support/near-miss.ts'

const checkOf = createChecker()
const RUNS = 3000

/** Members that a reader passes over where they are not what they should be: what they say is no more than more. */
const RULE_EXTRAS = [
  'held',
  'holdId',
  'reviewBy',
  'outcome',
  'reason',
  'liftedBefore',
  'releasedBefore',
]

interface Case {
  readonly ref: string
  readonly valid: fc.Arbitrary<unknown>
  readonly parse: (value: unknown) => unknown
  /** Members that the schema holds to a form that the reader does not ask for. */
  readonly extras?: readonly string[]
  /** What a schema cannot say, but the reader looks for. */
  readonly beyond?: (value: unknown) => boolean
}

const cases: readonly Case[] = [
  { ref: 'common.json#/$defs/match', valid: valid.match, parse: (value) => parseMatch(value) },
  { ref: 'rule.json', valid: valid.rule, parse: parseRule, extras: RULE_EXTRAS },
  {
    ref: 'entry.json',
    valid: valid.entry,
    parse: parseEntry,
    extras: [...RULE_EXTRAS, 'sub', 'sid', 'client_id', 'inSeconds', 'ack'],
  },
  {
    ref: 'beat.json',
    valid: valid.beat,
    parse: parseBeat,
    beyond: (value) => lengthsDiffer((value as { tails: unknown }).tails),
  },
  { ref: 'ack.json', valid: valid.acks, parse: parseAcks },
  {
    ref: 'snapshot-line.json#/$defs/head',
    valid: valid.snapshotHead,
    parse: (value) => parseSnapshotHead(value, 'default'),
    extras: ['v', 'epochs', 'beatMs'],
    beyond: (value) => (value as { tenant: unknown }).tenant !== 'default',
  },
  {
    ref: 'snapshot-line.json#/$defs/rule',
    valid: valid.snapshotRule,
    parse: parseSnapshotLine,
    extras: [...RULE_EXTRAS, 'shard'],
  },
  {
    ref: 'snapshot-line.json#/$defs/run',
    valid: valid.snapshotRun,
    parse: parseSnapshotLine,
    extras: ['shard', 'reason'],
    beyond: runIsUneven,
  },
]

function runIsUneven(value: unknown): boolean {
  const { jtis, ...lists } = value as Record<'jtis' | 'seqs' | 'indexes' | 'untils', unknown[]>
  const { seqs, indexes, untils } = lists
  return [seqs, indexes, untils].some((each) => each.length * 36 !== jtis.length)
}

function lengthsDiffer(tails: unknown): boolean {
  const { revocations, expiries } = tails as { revocations: unknown[]; expiries: unknown[] }
  return revocations.length !== expiries.length
}

function accepts(parse: (value: unknown) => unknown, value: unknown): boolean {
  try {
    parse(value)
    return true
  } catch {
    return false
  }
}

describe('the JSON Schemas of the messages', () => {
  for (const { ref, valid: arbitrary, parse, extras = [], beyond = () => false } of cases) {
    it(`take every message that our own code reads as ${ref}`, () => {
      fc.assert(
        fc.property(arbitrary, (value) => {
          expect(checkOf(ref)(value)).to.deep.equal([])
          expect(() => parse(value)).to.not.throw()
        }),
      )
    })

    it(`agree with our own code on messages that are nearly ${ref}`, () => {
      let refused = 0
      const check = checkOf(ref)
      fc.assert(
        fc.property(nearMiss(arbitrary), ({ value, path }) => {
          const fits = check(value).length === 0
          const isRead = accepts(parse, value)
          if (!isRead) refused += 1
          if (fits && !isRead) expect(beyond(value), 'only what no schema can say').to.equal(true)
          if (isRead && !fits) {
            expect(path.filter((key) => extras.includes(String(key)))).to.not.deep.equal([])
          }
        }),
        { numRuns: RUNS },
      )
      expect(refused).to.be.above(RUNS / 20)
    })
  }

  it('let members pass that they do not name', () => {
    fc.assert(
      fc.property(valid.entry, valid.beat, (entry, beat) => {
        expect(checkOf('entry.json')({ ...entry, later: 1 })).to.deep.equal([])
        expect(checkOf('beat.json')({ ...beat, later: {} })).to.deep.equal([])
      }),
    )
  })

  it('name every reason and every code', () => {
    const enumIn = (file: string, ...path: string[]): unknown =>
      path.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], contractSchemas[file])
    expect(enumIn('common.json', '$defs', 'reason', 'enum')).to.deep.equal(reasons)
    expect(enumIn('problem.json', 'properties', 'code', 'enum')).to.have.members(
      Object.keys(errorCodes),
    )
    expect(enumIn('decision.json', 'properties', 'code', 'enum')).to.have.members(decisionCodes)
  })

  it('mean the same in draft 7, which AsyncAPI reads: nothing stands beside a $ref', () => {
    const look = (value: unknown, where: string): void => {
      if (typeof value !== 'object' || value === null) return
      if ('$ref' in value) expect(Object.keys(value), where).to.deep.equal(['$ref'])
      for (const [key, member] of Object.entries(value)) look(member, `${where}/${key}`)
    }
    for (const [file, schema] of Object.entries(contractSchemas)) look(schema, file)
  })
})
