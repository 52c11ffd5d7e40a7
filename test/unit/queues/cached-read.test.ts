import { expect } from 'chai'
import { CachedRead } from '../../../shared/queues/cached-read.ts'

describe('a cached read', () => {
  function counting(): { read: CachedRead<number>; runs: () => number } {
    let runs = 0
    const read = new CachedRead(10, () => Promise.resolve(++runs))
    return { read, runs: () => runs }
  }

  it('is made anew once it is as old as it may be, counted from its start', async () => {
    const { read, runs } = counting()
    expect(await read.read(0)).to.equal(1)
    expect(await read.read(9)).to.equal(1)
    expect(await read.read(10)).to.equal(2)
    expect(await read.read(19)).to.equal(2)
    expect(runs()).to.equal(2)
  })

  it('serves everybody who comes while it is under way', async () => {
    const { read, runs } = counting()
    expect(await Promise.all([read.read(0), read.read(1), read.read(2)])).to.deep.equal([1, 1, 1])
    expect(runs()).to.equal(1)
  })

  it('is not kept where it failed', async () => {
    let runs = 0
    const read = new CachedRead(10, async () => {
      runs += 1
      if (runs === 1) throw new Error('no')
      await Promise.resolve()
      return runs
    })
    const first = await read.read(0).catch((error: Error) => error.message)
    expect(first).to.equal('no')
    expect(await read.read(1)).to.equal(2)
  })
})
