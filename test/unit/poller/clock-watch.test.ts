import { expect } from 'chai'
import { planWatch } from '../../../poller/clock-watch.ts'

describe('the watch over the wall clock', () => {
  for (const [what, wall, ahead, isBack] of [
    ['goes evenly', 61_000, 1000, false],
    ['was set back by a second', 60_000, 1000, false],
    ['was set back by more than a second', 59_999, -1, true],
    ['was set back by an hour', 61_000 - 3_600_000, 1000 - 3_600_000, true],
    ['was set ahead by an hour', 61_000 + 3_600_000, 1000 + 3_600_000, false],
  ] as const) {
    it(`sees a clock that ${what}`, () => {
      // A minute after the wall clock was a second ahead of the monotonic one.
      expect(planWatch(1000, { mono: 60_000, wall })).to.deep.equal({ ahead, isBack })
    })
  }

  it('sees a clock that goes back in small steps, once it is far enough', () => {
    let ahead = 1000
    const seen: boolean[] = []
    for (let step = 1; step <= 5; step++) {
      const found = planWatch(ahead, { mono: 60_000, wall: 61_000 - step * 400 })
      ahead = found.ahead
      seen.push(found.isBack)
    }
    expect(seen).to.deep.equal([false, false, true, false, false])
  })
})
