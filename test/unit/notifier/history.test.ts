import { expect } from 'chai'
import { History, SLOT_MS } from '../../../notifier/history.ts'
import { AskPace } from '../../../shared/relay/ask-pace.ts'

describe('the history of an hour', () => {
  it('tells per slot what was pushed, and per second what was revoked and expired', () => {
    const history = new History(0)
    history.turn(SLOT_MS, 1000)
    for (const ms of [1, 2, 3, 200]) history.pushed(ms)
    history.revoked(30)
    history.turn(2 * SLOT_MS, 1050)
    const [first, second] = history.hour
    // How many there were before the first look is not known.
    expect(first).to.deep.include({ at: 0, count: 0, p50Ms: null, expiriesPerSecond: null })
    expect(second).to.deep.include({
      at: SLOT_MS,
      count: 4,
      revocationsPerSecond: 3,
      expiriesPerSecond: 5,
    })
    expect(second?.p50Ms).to.be.within(2, 2.2)
    expect(second?.p99Ms).to.be.within(199, 212)
  })

  it('tells no rate of a store that was away, or that counts anew', () => {
    const history = new History(0)
    const found = [100, undefined, 200, 50, 60].map((expired, i) => {
      history.turn((i + 1) * SLOT_MS, expired)
      return history.hour.at(-1)?.expiriesPerSecond
    })
    expect(found).to.deep.equal([null, null, null, null, 1])
  })

  it('keeps an hour, and as now the last minute', () => {
    const history = new History(0)
    for (let i = 0; i < 400; i++) {
      history.pushed(i)
      history.turn((i + 1) * SLOT_MS, 0)
    }
    expect(history.hour).to.have.length(360)
    expect(history.hour[0]?.at).to.equal(40 * SLOT_MS)
    history.pushed(1000)
    expect(history.now()).to.deep.include({ count: 7 })
    expect(history.now().p99Ms).to.be.within(999, 1060)
  })
})

describe('the pace of asking', () => {
  it('is once per interval and tenant', () => {
    const pace = new AskPace(1000)
    const asked = [0, 1, 999, 1000, 1999, 2000].map((now) => pace.mayAsk('a', now))
    expect(asked).to.deep.equal([true, false, false, true, false, true])
    expect(pace.mayAsk('b', 2000)).to.equal(true)
    pace.giveBack('a')
    expect([2001, 2002].map((now) => pace.mayAsk('a', now))).to.deep.equal([true, false])
  })
})
