import { expect } from 'chai'
import * as fc from 'fast-check'
import { PackedJtis, type PackedRecord } from '../../../shared/domain/packed-jtis.ts'

const UUID = 'b2a5f4d0-7c1e-4b0a-9a53-1f2e3d4c5b6a'
const DIGITS = '0123456789abcdef'
const MAX_UINT32 = 2 ** 32 - 1
/** What `until` is rounded up to, in seconds. */
const UNIT = 1024
/** A time about which those of a test lie. */
const T = 1024 * 1_750_000
const YEAR = 365 * 86_400
const DASHES = [8, 13, 18, 23]

const QUADS = Array.from({ length: 0x10000 }, (_, bits) => (bits + 0x10000).toString(16).slice(1))

function quads(word: number): [string, string] {
  return [QUADS[word >>> 16] as string, QUADS[word & 0xffff] as string]
}

function uuidOf(a: number, b: number, c: number, d: number): string {
  const [third, fourth] = quads(c)
  return [quads(a).join(''), ...quads(b), third, fourth + quads(d).join('')].join('-')
}

/** A stream of ids that look random and are the same in every run. */
function ids(seed: number): () => string {
  let state = seed
  const word = (): number => {
    state = (state + 0x9e3779b9) | 0
    return mix(state)
  }
  return () => uuidOf(word(), word(), word(), word())
}

function take(count: number, seed: number): string[] {
  const next = ids(seed)
  return Array.from({ length: count }, () => next())
}

function mix(value: number): number {
  let mixed = value ^ (value >>> 16)
  mixed = Math.imul(mixed, 0x7feb352d)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b)
  return mixed ^ (mixed >>> 16)
}

function unmix(mixed: number): number {
  let value = mixed ^ (mixed >>> 16)
  value = Math.imul(value, 0x43021123)
  value ^= (value >>> 15) ^ (value >>> 30)
  value = Math.imul(value, 0x1d69e2a5)
  return value ^ (value >>> 16)
}

/**
 * An id with this keyed mix in a table whose seed is 0; another one for each other number, which
 * changes one of the last three words only. This knows the inside of the table: were that to
 * change, the tests that use it would still hold, but would no longer crowd ids together.
 */
function crowded(hash: number, other: number): string {
  const word = Math.ceil(other / 3)
  const [b, c, d] = [0, 1, 2].map((place) => (other % 3 === place ? word : 0)) as [
    number,
    number,
    number,
  ]
  return uuidOf(unmix(hash) ^ mix(d), b, c, d)
}

function replaceAt(text: string, at: number, by: string): string {
  return text.slice(0, at) + by + text.slice(at + 1)
}

/** What the table should hold after its rounding of `until`. */
function rounded(record: PackedRecord): PackedRecord {
  return { ...record, until: Math.ceil(record.until / UNIT) * UNIT }
}

function contents(table: PackedJtis): Map<string, PackedRecord> {
  const found = new Map<string, PackedRecord>()
  table.forEach((jti, record) => {
    expect(found.has(jti), `${jti} comes twice`).to.equal(false)
    found.set(jti, table.read(record))
  })
  return found
}

function expectSame(table: PackedJtis, model: ReadonlyMap<string, PackedRecord>): void {
  expect(table.size).to.equal(model.size)
  expect(contents(table)).to.deep.equal(model)
  for (const [jti, record] of model) expect(table.read(table.find(jti))).to.deep.equal(record)
}

/** Prunes until a pass is done. Every step must obey the limit. */
function prunePass(table: PackedJtis, now: number, limit: number): number {
  let removed = 0
  for (let steps = 0; steps < 100_000; steps++) {
    const step = table.prune(now, limit)
    expect(step.removed).to.be.within(0, limit)
    removed += step.removed
    if (step.done) return removed
  }
  throw new Error('The pass never ended.')
}

describe('PackedJtis', () => {
  describe('which strings it can hold', () => {
    const unfit: [string, string][] = [
      ['the empty string', ''],
      ['one character too few', UUID.slice(1)],
      ['one character too many', `${UUID}0`],
      ['an id in upper case', UUID.toUpperCase()],
      ['one upper-case digit', UUID.replace('f', 'F')],
      ['an id in braces', `{${UUID.slice(1, 35)}}`],
      ['36 characters without a dash', UUID.replaceAll('-', '0')],
      ['a dash in place of a digit', replaceAt(UUID, 0, '-')],
      ['a white space at the end', replaceAt(UUID, 35, ' ')],
    ]
    for (const [name, text] of unfit) {
      it(`does not take ${name}`, () => {
        expect(PackedJtis.fits(text)).to.equal(false)
        const table = new PackedJtis({ seed: 1 })
        expect(table.find(text)).to.equal(-1)
        expect(table.delete(text)).to.equal(false)
        expect(() => table.set(text, 0, 0, 0, 0)).to.throw(TypeError)
        expect(table.size).to.equal(0)
      })
    }

    it('takes every string of the canonical form, of any version and variant', () => {
      const extremes = [
        '00000000-0000-0000-0000-000000000000',
        'ffffffff-ffff-ffff-ffff-ffffffffffff',
        '80000000-0000-8000-8000-000080000000',
        '7fffffff-ffff-7fff-7fff-ffff7fffffff',
      ]
      const table = new PackedJtis({ seed: 0 })
      extremes.forEach((jti, seq) => table.set(jti, T, 1, 2, seq))
      expectSame(
        table,
        new Map(extremes.map((jti, seq) => [jti, { until: T, reason: 1, termIndex: 2, seq }])),
      )
    })

    it('takes, at each place, the one kind of character that belongs there and no other', () => {
      const others = Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code))
      // Characters whose lowest bits are those of a digit or a dash.
      others.push('\u0430', '\u0661', '\uff10', '\u{ff2d}', '\u012d', '\ud83d', '\udd2d')
      for (let at = 0; at < 36; at++) {
        for (const other of others) {
          const allowed = DASHES.includes(at) ? other === '-' : DIGITS.includes(other)
          const text = replaceAt(UUID, at, other)
          expect(PackedJtis.fits(text), JSON.stringify(text)).to.equal(other !== '' && allowed)
        }
      }
    })
  })

  describe('exactness', () => {
    it('never takes one id for another that differs in a single digit', () => {
      for (const seed of [0, 1, 0xdeadbeef]) {
        const table = new PackedJtis({ seed })
        table.set(UUID, 1000, 1, 2, 3)
        for (let at = 0; at < 36; at++) {
          for (const digit of DIGITS) {
            const near = replaceAt(UUID, at, digit)
            expect(table.find(near) !== -1, near).to.equal(near === UUID)
          }
        }
      }
    })

    it('tells apart all near misses of an id when it holds them all', () => {
      const nears = new Set<string>()
      for (let at = 0; at < 36; at++) {
        if (DASHES.includes(at)) continue
        for (const digit of DIGITS) nears.add(replaceAt(UUID, at, digit))
      }
      const table = new PackedJtis({ seed: 5 })
      let seq = 0
      // Ids that differ in the middle only have one hash, and only so many of them are taken.
      const taken = [...nears].map((near) => table.set(near, T, 0, 0, seq++))
      expect(table.size).to.equal(taken.filter(Boolean).length)
      expect(table.size).to.be.within(256, nears.size - 1)
      seq = 0
      for (const near of nears) {
        const record = table.find(near)
        expect(record === -1 ? -1 : table.seq(record)).to.equal(taken[seq] === true ? seq : -1)
        seq++
      }
    })

    it('does not find a held id through a string with the same digits and other separators', () => {
      const table = new PackedJtis({ seed: 7 })
      table.set(UUID, 1000, 0, 0, 0)
      for (const at of DASHES) {
        for (const other of ['0', 'a', ' ', '_', '\u012d']) {
          const text = replaceAt(UUID, at, other)
          expect(table.find(text), text).to.equal(-1)
          expect(table.delete(text), text).to.equal(false)
        }
      }
    })

    it('does not find a held id through characters that are digits but for their highest bits', () => {
      const table = new PackedJtis({ seed: 7 })
      table.set(UUID, 1000, 0, 0, 0)
      for (let at = 0; at < 36; at++) {
        const wide = String.fromCharCode(UUID.charCodeAt(at) + 0x100)
        expect(table.find(replaceAt(UUID, at, wide))).to.equal(-1)
      }
    })

    it('finds an id however its string was made', () => {
      const table = new PackedJtis({ seed: 7 })
      table.set(UUID, 1000, 0, 0, 42)
      const parsed = JSON.parse(`{"jti":"${UUID}","x":"\u0431"}`) as { jti: string }
      const made = [
        parsed.jti,
        `\u0431${UUID}`.slice(1),
        UUID.slice(0, 17) + UUID.slice(17),
        Buffer.from(UUID).toString('latin1'),
      ]
      for (const jti of made) expect(table.seq(table.find(jti))).to.equal(42)
    })

    it('keeps ids whose keyed mixes are equal apart', () => {
      // Of so many ids, some five pairs share a 32-bit mix, whatever the seed.
      const jtis = take(200_000, 11)
      const table = new PackedJtis({ seed: 3 })
      for (const [seq, jti] of jtis.entries()) table.set(jti, T, 0, 0, seq)
      expect(table.size).to.equal(jtis.length)
      for (const [seq, jti] of jtis.entries()) {
        if (table.seq(table.find(jti)) !== seq) expect.fail(`${jti} is not number ${seq}`)
      }
      for (const jti of take(100_000, 12)) {
        if (table.find(jti) !== -1) expect.fail(`${jti} was never put in`)
      }
    })

    it('shares nothing between two tables', () => {
      const [one, other] = [new PackedJtis({ seed: 1 }), new PackedJtis({ seed: 1 })]
      one.set(UUID, T, 1, 1, 1)
      expect(other.find(UUID)).to.equal(-1)
      expect(other.bytes).to.equal(0)
      other.set(UUID, T + UNIT, 2, 2, 2)
      expect(one.read(one.find(UUID))).to.deep.equal({
        until: T,
        reason: 1,
        termIndex: 1,
        seq: 1,
      })
    })

    it('works with any seed, and with none', () => {
      const jtis = take(2_000, 4)
      for (const options of [undefined, {}, { seed: -1 }, { seed: 0.5 }, { seed: 2 ** 40 }]) {
        const table = new PackedJtis(options)
        for (const jti of jtis) table.set(jti, T, 0, 0, 0)
        expect([...contents(table).keys()].toSorted()).to.deep.equal(jtis.toSorted())
      }
    })
  })

  describe('fields', () => {
    it('reads back every field, whole or one by one', () => {
      const table = new PackedJtis({ seed: 1 })
      const records: PackedRecord[] = [
        { until: T, reason: 0, termIndex: 0, seq: 0 },
        { until: T + UNIT, reason: 14, termIndex: 0, seq: MAX_UINT32 },
        { until: T + 0x7fff * UNIT, reason: 0, termIndex: 15, seq: 2 ** 31 },
        { until: T - 0x8000 * UNIT, reason: 14, termIndex: 15, seq: MAX_UINT32 },
      ]
      for (const fields of records) {
        table.set(UUID, fields.until, fields.reason, fields.termIndex, fields.seq)
        const record = table.find(UUID)
        expect(table.read(record)).to.deep.equal(fields)
        expect(table.until(record)).to.equal(fields.until)
        expect(table.reason(record)).to.equal(fields.reason)
        expect(table.termIndex(record)).to.equal(fields.termIndex)
        expect(table.seq(record)).to.equal(fields.seq)
        expect(table.size).to.equal(1)
      }
    })

    const roundings: [number, number][] = [
      [0, 0],
      [0.5, UNIT],
      [1, UNIT],
      [UNIT, UNIT],
      [UNIT + 0.001, 2 * UNIT],
      [T, T],
      [T + 1, T + UNIT],
      [T + UNIT - 1, T + UNIT],
      [MAX_UINT32, 2 ** 32],
    ]
    for (const [until, stored] of roundings) {
      it(`keeps an until of ${until} as ${stored}`, () => {
        const table = new PackedJtis({ seed: 1 })
        table.set(UUID, until, 0, 0, 0)
        expect(table.until(table.find(UUID))).to.equal(stored)
      })
    }

    const bad = [-1, Number.NaN, Infinity, -Infinity]
    const outOfRange: [
      string,
      readonly number[],
      (value: number) => [number, number, number, number],
    ][] = [
      ['until', [...bad, 2 ** 32, MAX_UINT32 + 0.5], (value) => [value, 0, 0, 0]],
      ['reason', [...bad, 15, 1.5], (value) => [T, value, 0, 0]],
      ['termIndex', [...bad, 16, 1.5], (value) => [T, 0, value, 0]],
      ['seq', [...bad, 2 ** 32, 1.5], (value) => [T, 0, 0, value]],
    ]
    for (const [name, values, fieldsWith] of outOfRange) {
      for (const value of values) {
        it(`refuses ${value} as ${name} and changes nothing`, () => {
          const table = new PackedJtis({ seed: 1 })
          table.set(UUID, T, 3, 4, 5)
          expect(() => table.set(UUID, ...fieldsWith(value))).to.throw(RangeError, name)
          expect(() => table.set(UUID.replace('b', 'c'), ...fieldsWith(value))).to.throw(RangeError)
          expectSame(table, new Map([[UUID, { until: T, reason: 3, termIndex: 4, seq: 5 }]]))
        })
      }
    }
  })

  describe('as a map', () => {
    // Ids at the edges of parts of the table, next to each other, and with equal mixes.
    const hashes = [0, 1, 2, 0x7fffff, 0x800000, 0x800001, 0xfffffd, 0xfffffe, 0xffffff]
    const pool = [0, 0x05000000, 0xff000000].flatMap((part) =>
      hashes.flatMap((hash) => [0, 1, 2, 3].map((other) => crowded(part + hash, other))),
    )
    const jtis = fc.constantFrom(...pool)
    const seeds = fc.oneof(fc.constant(0), fc.integer())
    const fields = fc.record({
      until: fc.oneof(
        fc.integer({ min: T, max: T + 8 * UNIT }),
        fc.integer({ min: T, max: T + (YEAR * 3) / 4 }),
      ),
      reason: fc.integer({ min: 0, max: 14 }),
      termIndex: fc.integer({ min: 0, max: 15 }),
      seq: fc.integer({ min: 0, max: MAX_UINT32 }),
    })
    const step = fc.oneof(
      {
        weight: 30,
        arbitrary: fc.record({ kind: fc.constant('set' as const), jti: jtis, fields }),
      },
      { weight: 20, arbitrary: fc.record({ kind: fc.constant('delete' as const), jti: jtis }) },
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('prune' as const),
          now: fc.integer({ min: T, max: T + 10 * UNIT }),
          limit: fc.integer({ min: 1, max: 8 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('loosen' as const) }) },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant('tighten' as const),
          limit: fc.integer({ min: 1, max: 8 }),
        }),
      },
    )

    it('does what a Map does, whatever the order of operations', () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 200, size: 'max' }), seeds, (steps, seed) => {
          const table = new PackedJtis({ seed })
          const model = new Map<string, PackedRecord>()
          for (const each of steps) {
            if (each.kind === 'set') {
              const { until, reason, termIndex, seq } = each.fields
              table.set(each.jti, until, reason, termIndex, seq)
              model.set(each.jti, rounded(each.fields))
            } else if (each.kind === 'delete') {
              expect(table.delete(each.jti)).to.equal(model.delete(each.jti))
            } else if (each.kind === 'prune') {
              const due = [...model].filter(([, { until }]) => until < each.now)
              prunePass(table, each.now, each.limit)
              for (const [jti] of due) model.delete(jti)
              expectSame(table, model)
            } else if (each.kind === 'loosen') {
              table.loosen()
            } else if (each.kind === 'tighten') {
              // One step of it, so that others come in between.
              table.tighten(each.limit)
              expectSame(table, model)
            } else {
              table.clear()
              model.clear()
            }
            expect(table.size).to.equal(model.size)
          }
          expectSame(table, model)
        }),
      )
    })

    it('stays a map while it grows through many sizes and shrinks again', () => {
      const next = ids(31)
      const table = new PackedJtis({ seed: 13 })
      const model = new Map<string, PackedRecord>()
      const held: string[] = []
      // Sets and deletes are mixed, so that runs of neighbours are closed up at every fill.
      for (let round = 0; round < 60_000; round++) {
        const jti = next()
        const until = T + (round % 1000) * UNIT
        const record = { until, reason: round % 15, termIndex: 1, seq: round }
        table.set(jti, record.until, record.reason, record.termIndex, record.seq)
        model.set(jti, record)
        held.push(jti)
        if (round % 3 === 0) {
          const [gone] = held.splice((round * 7919) % held.length, 1) as [string]
          if (!table.delete(gone) || table.delete(gone)) expect.fail(`${gone} was not there once`)
          model.delete(gone)
        }
      }
      expect(table.size).to.equal(40_000)
      for (const [jti, record] of model) {
        const found = table.find(jti)
        if (found === -1 || table.seq(found) !== record.seq) expect.fail(`${jti} is lost`)
      }
      const found = contents(table)
      expect(found.size).to.equal(model.size)
      for (const [jti, record] of model) {
        if (found.get(jti)?.seq !== record.seq) expect.fail(`${jti} is not shown`)
      }
      for (const jti of held) if (!table.delete(jti)) expect.fail(`${jti} is lost`)
      expect(table.size).to.equal(0)
      expect(contents(table).size).to.equal(0)
    })

    it('may delete each id while forEach shows it', () => {
      const jtis = take(5_000, 41)
      const table = new PackedJtis({ seed: 2 })
      for (const [seq, jti] of jtis.entries()) table.set(jti, T, 0, 0, seq)
      const seen: string[] = []
      table.forEach((jti, record) => {
        seen.push(jti)
        if (table.seq(record) % 2 === 0) table.delete(jti)
      })
      expect(seen.toSorted()).to.deep.equal(jtis.toSorted())
      expect([...contents(table).keys()].toSorted()).to.deep.equal(
        jtis.filter((_, seq) => seq % 2 === 1).toSorted(),
      )
    })

    it('is empty and usable after clear, and gives its memory back', () => {
      const jtis = take(1_000, 51)
      const table = new PackedJtis({ seed: 2 })
      for (const jti of jtis) table.set(jti, T, 0, 0, 0)
      table.prune(0, 1)
      table.clear()
      expect([table.size, table.bytes]).to.deep.equal([0, 0])
      for (const jti of jtis) expect(table.find(jti)).to.equal(-1)
      table.set(UUID, T, 1, 2, 3)
      expectSame(table, new Map([[UUID, { until: T, reason: 1, termIndex: 2, seq: 3 }]]))
    })

    for (const [name, hashAt, most] of [
      ['at the very end of a part of the table', (index: number) => 0x05ffffff - (index >> 2), 400],
      ['at the very beginning of it', (index: number) => 0x05000000 + (index >> 2), 400],
      // More of one mix than this are left to whoever asked.
      ['on one and the same mix', () => 0x05abcdef, 32],
    ] as const) {
      it(`stays a map when ids crowd ${name}`, () => {
        const table = new PackedJtis({ seed: 0 })
        const model = new Map<string, PackedRecord>()
        for (let index = 0; index < 400; index++) {
          const jti = crowded(hashAt(index), index)
          const until = T + (index % 2) * UNIT
          if (!table.set(jti, until, 0, 0, index)) continue
          model.set(jti, { until, reason: 0, termIndex: 0, seq: index })
        }
        expect(model.size).to.equal(most)
        expectSame(table, model)
        for (const jti of [...model.keys()].filter((_, index) => index % 3 === 0)) {
          expect(table.delete(jti)).to.equal(true)
          model.delete(jti)
        }
        expectSame(table, model)
        prunePass(table, T + 1, 10)
        for (const [jti, { until }] of model) if (until === T) model.delete(jti)
        expectSame(table, model)
      })
    }
  })

  describe('prune', () => {
    const boundary: [number, number, boolean][] = [
      [T, T - 1, true],
      [T, T, true],
      [T, T + 0.5, false],
      [T, T + 1, false],
      [T + 300, T + 301, true],
      [T + 300, T + UNIT, true],
      [T + 300, T + UNIT + 1, false],
      [0, 0, true],
      [0, 1, false],
      [MAX_UINT32, 2 ** 32, true],
      [MAX_UINT32, 2 ** 32 + 1, false],
    ]
    for (const [until, now, stays] of boundary) {
      it(`${stays ? 'keeps' : 'removes'} an until of ${until} at ${now}`, () => {
        const table = new PackedJtis({ seed: 1 })
        table.set(UUID, until, 0, 0, 0)
        expect(table.prune(now, 10)).to.deep.equal({ removed: stays ? 0 : 1, done: true })
        expect(table.find(UUID) !== -1).to.equal(stays)
        expect(table.size).to.equal(stays ? 1 : 0)
      })
    }

    it('has nothing to do in an empty table', () => {
      expect(new PackedJtis().prune(MAX_UINT32, 1)).to.deep.equal({ removed: 0, done: true })
    })

    for (const [limit, steps] of [
      [99, 2],
      [100, 1],
      [101, 1],
      [1, 100],
    ] as const) {
      it(`removes 100 due records in ${steps} step(s) of ${limit}`, () => {
        const table = new PackedJtis({ seed: 1 })
        for (const jti of take(100, 61)) table.set(jti, T, 0, 0, 0)
        let removing = 0
        for (let done = false; !done;) {
          const step = table.prune(T + 1, limit)
          expect(step.removed).to.be.at.most(limit)
          if (step.removed > 0) removing++
          done = step.done
        }
        expect([table.size, removing]).to.deep.equal([0, steps])
      })
    }

    it('removes only what is due, in any number of steps', () => {
      for (const limit of [1, 7, 1_000, Infinity]) {
        const table = new PackedJtis({ seed: 1 })
        const jtis = take(10_000, 71)
        for (const [seq, jti] of jtis.entries()) table.set(jti, T + (seq % 10) * UNIT, 0, 0, seq)
        expect(prunePass(table, T + UNIT + 1, limit)).to.equal(8_000 - 6_000)
        expect(prunePass(table, T + UNIT + 1, limit)).to.equal(0)
        expect(table.size).to.equal(8_000)
        for (const [seq, jti] of jtis.entries()) {
          if ((table.find(jti) !== -1) !== seq % 10 > 1) expect.fail(`${jti}, number ${seq}`)
        }
      }
    })

    it('does a bounded amount of work when nothing is due', () => {
      const table = new PackedJtis({ seed: 1 })
      for (const jti of take(10_000, 81)) table.set(jti, T + 10 * UNIT, 0, 0, 0)
      expect(table.prune(0, 10)).to.deep.equal({ removed: 0, done: false })
    })

    it('sees in one pass every due record that was there all the time, though the table changes between steps', () => {
      const table = new PackedJtis({ seed: 1 })
      const next = ids(91)
      for (let count = 0; count < 5_000; count++) table.set(next(), T, 0, 0, 0)
      const others: string[] = []
      for (let done = false; !done;) {
        done = table.prune(T + 1, 10).done
        // The table grows and closes up around the place where the pass stopped.
        for (let count = 0; count < 60; count++) {
          const jti = next()
          others.push(jti)
          table.set(jti, T + 20 * UNIT, 0, 0, 1)
        }
        for (const jti of others.splice(0, 20)) table.delete(jti)
      }
      expect(table.size).to.equal(others.length)
      for (const jti of others) if (table.find(jti) === -1) expect.fail(`${jti} is lost`)
    })
  })

  describe('the time that it reaches', () => {
    it('takes an until within a year of the others, and declines one that is out of reach', () => {
      const table = new PackedJtis({ seed: 1 })
      const [next, last] = take(2, 131) as [string, string]
      expect(table.set(UUID, T, 1, 2, 3)).to.equal(true)
      for (const until of [T + YEAR, T - YEAR]) {
        expect(table.set(next, until, 0, 0, 0)).to.equal(true)
        expect(table.until(table.find(next))).to.equal(Math.ceil(until / UNIT) * UNIT)
      }
      for (const until of [T + 0x8000 * UNIT, T - 0x8001 * UNIT, 0, MAX_UINT32]) {
        expect(table.set(last, until, 0, 0, 0)).to.equal(false)
        expect(table.set(UUID, until, 9, 9, 9)).to.equal(false)
      }
      expect(table.find(last)).to.equal(-1)
      expect(table.read(table.find(UUID))).to.deep.equal({
        until: T,
        reason: 1,
        termIndex: 2,
        seq: 3,
      })
    })

    it('moves on with the present, for as many years as the process lives', () => {
      const table = new PackedJtis({ seed: 1 })
      const next = ids(141)
      const model = new Map<string, PackedRecord>()
      for (let now = T; now < T + 8 * YEAR; now += 20 * 86_400) {
        for (const life of [3600, 30 * 86_400, 200 * 86_400]) {
          const jti = next()
          const record = { until: now + life, reason: 1, termIndex: 2, seq: 3 }
          expect(table.set(jti, record.until, 1, 2, 3)).to.equal(true)
          model.set(jti, rounded(record))
        }
        prunePass(table, now, 10)
        for (const [jti, { until }] of model) if (until < now) model.delete(jti)
        expectSame(table, model)
      }
    })

    it('begins anew where nothing is left', () => {
      const table = new PackedJtis({ seed: 1 })
      table.set(UUID, T, 0, 0, 0)
      table.delete(UUID)
      expect(table.set(UUID, T + 20 * YEAR, 0, 0, 0)).to.equal(true)
      expect(table.until(table.find(UUID))).to.be.within(T + 20 * YEAR, T + 20 * YEAR + UNIT)
    })
  })

  describe('memory', () => {
    it('takes at most 24 bytes for each of a million ids, and little more at every unlucky size on the way', () => {
      const next = ids(101)
      const table = new PackedJtis({ seed: 17 })
      let worst = 0
      for (let count = 1; count <= 1_000_000; count++) {
        table.set(next(), T, 0, 0, count)
        if (count >= 20_000 && count % 500 === 0) worst = Math.max(worst, table.bytes / count)
      }
      expect(table.size).to.equal(1_000_000)
      expect(table.bytes / table.size).to.be.within(22, 24)
      expect(worst).to.be.within(22, 28)
    }).timeout(60_000)

    it('takes up to twice as much while it is loose, and as little as ever when it was tightened', () => {
      const next = ids(141)
      const table = new PackedJtis({ seed: 17 })
      table.loosen()
      const held = Array.from({ length: 200_000 }, () => next())
      for (const [seq, jti] of held.entries()) table.set(jti, T, 0, 0, seq)
      expect(table.bytes / table.size).to.be.within(29, 47)
      prunePass(table, 0, 1000)
      expect(table.bytes / table.size, 'a pass leaves it loose').to.be.above(29)
      let steps = 1
      while (!table.tighten(10_000)) steps++
      expect(steps).to.be.within(15, 21)
      expect(table.bytes / table.size).to.be.within(22, 24.5)
      for (const [seq, jti] of held.entries()) {
        if (table.seq(table.find(jti)) !== seq) expect.fail(jti)
      }
      expect(table.tighten(10_000), 'nothing is loose any more').to.equal(true)
      table.set(next(), T, 0, 0, 0)
      expect(table.bytes / table.size).to.be.within(22, 24.5)
    })

    it('holds new ids in the room of deleted ones', () => {
      const next = ids(111)
      const table = new PackedJtis({ seed: 17 })
      const held = Array.from({ length: 20_000 }, () => next())
      for (const jti of held) table.set(jti, T, 0, 0, 0)
      const before = table.bytes
      for (let round = 0; round < 100_000; round++) {
        const at = round % held.length
        table.delete(held[at] as string)
        held[at] = next()
        table.set(held[at], T, 0, 0, 0)
      }
      expect(table.size).to.equal(held.length)
      // Each part of the table keeps the room for the most ids that it ever held, until a pass.
      expect(table.bytes / before).to.be.below(1.4)
      prunePass(table, 0, 1_000)
      expect(table.bytes / table.size).to.be.below(32)
    })

    it('gives memory back in a pruning pass when most ids are gone', () => {
      const next = ids(121)
      const table = new PackedJtis({ seed: 17 })
      const living = new Map<string, number>()
      for (let count = 0; count < 100_000; count++) {
        const jti = next()
        const lives = count % 10 === 0
        table.set(jti, T + (lives ? 20 * UNIT : 0), 0, 0, count)
        if (lives) living.set(jti, count)
      }
      prunePass(table, T + 1, 1_000)
      expect(table.bytes / table.size).to.be.below(32)
      expect(table.size).to.equal(living.size)
      for (const [jti, seq] of living) if (table.seq(table.find(jti)) !== seq) expect.fail(jti)
      prunePass(table, T + 20 * UNIT + 1, 1_000)
      expect([table.size, table.bytes]).to.deep.equal([0, 0])
    })
  })
})
