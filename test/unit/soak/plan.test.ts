import { expect } from 'chai'
import { Dice } from '../../../shared/cli/soak/dice.ts'
import { engineFaults, planFaults, type Cast } from '../../../shared/cli/soak/plan.ts'

const cast: Cast = {
  lasting: ['notifier-1', 'billing-1'],
  mortal: ['notifier-2', 'orders-1'],
  storing: ['notifier-1', 'notifier-2'],
  services: ['billing', 'orders'],
}
const TEN_MINUTES = 600_000
const isEngine = (fault: string): boolean => (engineFaults as readonly string[]).includes(fault)

describe('the plan of faults of a soak', () => {
  it('is the same for the same seed, and another one for another', () => {
    expect(planFaults(7, TEN_MINUTES, cast)).to.deep.equal(planFaults(7, TEN_MINUTES, cast))
    expect(planFaults(7, TEN_MINUTES, cast)).not.to.deep.equal(planFaults(8, TEN_MINUTES, cast))
  })

  it('ends every fault within the run, and never has two of a lane at once', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const plan = planFaults(seed, TEN_MINUTES, cast)
      for (const { atMs, forMs } of plan) expect(atMs + forMs).to.be.at.most(TEN_MINUTES)
      for (const lane of [true, false]) {
        let free = 0
        for (const { atMs, forMs } of plan.filter(({ fault }) => isEngine(fault) === lane)) {
          expect(atMs).to.be.at.least(free)
          free = atMs + forMs
        }
      }
    }
  })

  it('kills no part that is to last, and harms every kind of part and engine in a long run', () => {
    const plan = planFaults(3, TEN_MINUTES, cast)
    for (const { fault, target } of plan) {
      if (fault === 'kill') expect(cast.mortal).to.include(target)
      if (fault === 'store cut') expect(cast.storing).to.include(target)
    }
    expect(new Set(plan.map(({ fault }) => fault))).to.include.all.keys('kill', ...engineFaults)
  })
})

describe('the dice of a soak', () => {
  it('throws each side as often as its weight says', () => {
    const dice = new Dice(1)
    const counts = { a: 0, b: 0 }
    for (let i = 0; i < 10_000; i++) counts[dice.weighed({ a: 3, b: 1 })] += 1
    expect(counts.a).to.be.within(7200, 7800)
  })

  it('reaches both ends of a range, and nothing beyond', () => {
    const dice = new Dice(2)
    const thrown = new Set(Array.from({ length: 500 }, () => dice.whole(2, 5)))
    expect(thrown).to.deep.equal(new Set([2, 3, 4, 5]))
  })
})
