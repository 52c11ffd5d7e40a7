import { expect } from 'chai'
import { setImmediate as turn } from 'node:timers/promises'
import { SharedRead } from '../../shared/store/shared-read.ts'

describe('a shared read', () => {
  /** Reads that end when they are told to, with their number. */
  function numbered(): { read: SharedRead<number>; ends: (() => void)[] } {
    const ends: (() => void)[] = []
    const read = new SharedRead(
      () =>
        new Promise<number>((resolve) => {
          const number = ends.length + 1
          ends.push(() => resolve(number))
        }),
    )
    return { read, ends }
  }

  it('gives all who come while it is under way the next one, and that one alone', async () => {
    const { read, ends } = numbered()
    const first = read.read(0)
    const others = [read.read(0), read.read(0)]
    ends[0]?.()
    expect(await first).to.equal(1)
    await turn()
    ends[1]?.()
    expect(await Promise.all(others)).to.deep.equal([2, 2])
    expect(ends).to.have.length(2)
  })

  it('tells what was read last while a slow one is under way, and only where that is new enough', async () => {
    const { read, ends } = numbered()
    expect(read.latest(60_000)).to.equal(undefined)
    const first = read.read(0)
    expect(read.latest(60_000)).to.equal(undefined)
    ends[0]?.()
    await first
    const second = read.read(-1)
    expect(read.latest(60_000)).to.equal(1)
    expect(read.latest(-1)).to.equal(undefined)
    ends[1]?.()
    await second
    expect(read.latest(60_000)).to.equal(2)
  })
})
