import { expect } from 'chai'
import { PackedFilter } from '../../../shared/domain/packed-filter.ts'
import { PackedJtis } from '../../../shared/domain/packed-jtis.ts'

const SEGMENTS = 512
const SIZE = 100_000
const T = 1024 * 1_750_000

/** Well mixed words, the same in every run. */
function mixed(index: number): number {
  let value = Math.imul(index, 0x9e3779b9)
  value = Math.imul(value ^ (value >>> 16), 0x7feb352d)
  value = Math.imul(value ^ (value >>> 15), 0x846ca68b)
  return value ^ (value >>> 16)
}

function hashes(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => mixed(from + i))
}

/** The keys of a segment as a table holds them: above eight bits of meta. */
function keysOf(all: readonly number[]): (index: number) => Int32Array {
  const keys = Array.from({ length: SEGMENTS }, (): number[] => [])
  for (const hash of all) keys[hash >>> 23]?.push((hash & 0x7fffff) << 8)
  return (index) => Int32Array.from(keys[index] ?? [])
}

function jtiOf(index: number): string {
  const hex = [1, 2, 3, 4].map((word) =>
    (mixed(4 * index + word) >>> 0).toString(16).padStart(8, '0'),
  )
  return hex.join('').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

describe('PackedFilter', () => {
  it('rules nothing out, and takes no memory, while the table is small', () => {
    const filter = new PackedFilter()
    filter.fit(1000)
    filter.add(1)
    filter.catchUp(SEGMENTS, keysOf([]))
    expect([filter.bytes, filter.mayHold(1), filter.mayHold(2)]).to.deep.equal([0, true, true])
  })

  it('never rules out what is there, and most of what is not', () => {
    const [held, later, strange] = [0, SIZE, 2 * SIZE].map((from) => hashes(from, SIZE)) as [
      number[],
      number[],
      number[],
    ]
    const filter = new PackedFilter()
    filter.fit(2 * SIZE)
    expect(strange.every((hash) => filter.mayHold(hash))).to.equal(true)
    const keys = keysOf(held)
    for (let step = 0; step < SEGMENTS / 16; step++) {
      filter.catchUp(16, keys)
      expect(held.filter((hash) => !filter.mayHold(hash))).to.deep.equal([])
    }
    for (const hash of later) filter.add(hash)
    expect([...held, ...later].filter((hash) => !filter.mayHold(hash))).to.deep.equal([])
    const wrong = strange.filter((hash) => filter.mayHold(hash)).length
    expect(wrong / SIZE).to.be.within(0.1, 0.2)
    expect(filter.bytes / (2 * SIZE)).to.be.within(0.4, 0.55)
    for (let index = 0; index < SEGMENTS; index++) filter.fill(index, keys(index))
    const stillThere = later.filter((hash) => filter.mayHold(hash)).length
    expect(stillThere / SIZE).to.be.below(0.1)
  })

  it('leaves a large table exact while it grows, loses ids and shrinks', () => {
    const table = new PackedJtis({ seed: 5 })
    const expectExact = (from: number, to: number): void => {
      for (let i = from; i < to; i++) if (table.find(jtiOf(i)) === -1) expect.fail(`${i} is lost`)
      for (let i = 0; i < from; i++) if (table.find(jtiOf(i)) !== -1) expect.fail(`${i} is there`)
    }
    for (let i = 0; i < 150_000; i++) {
      table.set(jtiOf(i), i < 90_000 ? T : T + 1024, 0, 0, i)
      if (i % 30_000 === 29_999) expectExact(0, i + 1)
    }
    while (!table.prune(T + 1, 5000).done);
    expectExact(90_000, 150_000)
    for (let i = 150_000; i < 250_000; i++) table.set(jtiOf(i), T + 1024, 0, 0, i)
    expectExact(90_000, 250_000)
    table.clear()
    table.set(jtiOf(1), T, 0, 0, 1)
    expectExact(1, 2)
  }).timeout(60_000)
})
