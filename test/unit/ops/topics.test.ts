import { expect } from 'chai'
import { planReads, type Topic } from '../../../notifier/ops/topics.ts'

const often: Topic = { event: 'often', everyMs: 1000, url: () => '/often' }
const seldom: Topic = { event: 'seldom', everyMs: 5000, url: () => '/seldom' }

describe('when the topics of the dashboard are read', () => {
  it('reads everything at first, and then each when its time has come', () => {
    const readAt = new Map<Topic, number>()
    const at = (now: number): string[] =>
      planReads([often, seldom], readAt, now).map(({ event }) => event)
    expect(at(0)).to.deep.equal(['often', 'seldom'])
    expect(at(500)).to.deep.equal([])
    expect(at(1000)).to.deep.equal(['often'])
    expect(at(1900)).to.deep.equal(['often'])
    expect(at(2700)).to.deep.equal([])
    expect(at(5000)).to.deep.equal(['often', 'seldom'])
  })

  it('does not skip a turn for a tick that comes a little early', () => {
    const readAt = new Map<Topic, number>([[seldom, 0]])
    expect(planReads([seldom], readAt, 4899)).to.deep.equal([])
    expect(planReads([seldom], readAt, 4900)).to.deep.equal([seldom])
  })
})
