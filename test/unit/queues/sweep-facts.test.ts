import { expect } from 'chai'
import { sweepFactsOf } from '../../../shared/queues/sweep-facts.ts'

const at = (...times: number[]): { at: number }[] => times.map((time) => ({ at: time }))

describe('how sweeps run', () => {
  it('is unknown without a report', () => {
    expect(sweepFactsOf([], 100)).to.equal(undefined)
  })

  it('has no usual distance with one report', () => {
    expect(sweepFactsOf(at(90), 100)).to.deep.equal({ agoMs: 10, everyMs: undefined })
  })

  it('takes the middle distance, in whatever order the reports come', () => {
    expect(sweepFactsOf(at(10, 40, 20, 90, 30), 100)).to.deep.equal({ agoMs: 10, everyMs: 10 })
  })

  it('is never in the future', () => {
    expect(sweepFactsOf(at(110), 100)?.agoMs).to.equal(0)
  })
})
