import { expect } from 'chai'
import { SharedReads } from '../../shared/store/shared-reads.ts'

describe('shared reads by name', () => {
  it('forget past their number the one that nobody has asked for the longest', async () => {
    const runs: string[] = []
    const reads = new SharedReads<string>(2)
    const ask = (name: string): Promise<string> =>
      reads
        .of(name, () => {
          runs.push(name)
          return Promise.resolve(name)
        })
        .read(60_000)
    for (const name of ['a', 'b', 'a', 'b', 'a']) expect(await ask(name)).to.equal(name)
    expect(runs).to.deep.equal(['a', 'b'])
    await ask('c')
    await ask('a')
    expect(runs).to.deep.equal(['a', 'b', 'c'])
    await ask('b')
    expect(runs).to.deep.equal(['a', 'b', 'c', 'b'])
  })
})
