import { expect } from 'chai'
import { rotate } from '../../shared/relay/rotate.ts'

const long = { atOnce: 1, forMs: 60_000 }

describe('what is taken in turn', () => {
  it('has each item wait for one step of the others, not for all of them', async () => {
    const left = new Map([
      ['a', 3],
      ['b', 1],
      ['c', 2],
    ])
    const steps: string[] = []
    const { left: more } = await rotate([...left.keys()], long, async (item) => {
      await Promise.resolve()
      steps.push(item)
      left.set(item, (left.get(item) ?? 0) - 1)
      return (left.get(item) ?? 0) > 0
    })
    expect(steps).to.deep.equal(['a', 'b', 'c', 'a', 'c', 'a'])
    expect(more).to.equal(false)
  })

  it('goes on with the others when one fails, and tells of it at the end', async () => {
    const steps: string[] = []
    const { failed } = await rotate(['a', 'b'], long, async (item) => {
      await Promise.resolve()
      steps.push(item)
      if (item === 'a') throw new Error('a is broken')
      return steps.length < 4
    })
    expect(steps).to.deep.equal(['a', 'b', 'b', 'b'])
    expect([...failed].map(([item, error]) => `${item}: ${error.message}`)).to.deep.equal([
      'a: a is broken',
    ])
  })

  it('says when the time was up before everything was done', async () => {
    let steps = 0
    const { left: more } = await rotate(['a'], { atOnce: 4, forMs: 5 }, async () => {
      steps += 1
      await new Promise((resolve) => setImmediate(resolve))
      return true
    })
    expect(more).to.equal(true)
    expect(steps).to.be.greaterThan(0)
  })
})
