import { expect } from 'chai'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { isKnellError } from '../../../shared/domain/errors.ts'
import { Cap } from '../../../shared/http/cap.ts'
import { Failures, networkOf } from '../../../shared/http/failures.ts'
import { planLookMs } from '../../../shared/http/feed-watch.ts'
import { Turns } from '../../../shared/http/turns.ts'

/** Stands for an answer's end, the one thing these parts know of it. */
class Ending extends EventEmitter {
  closed = false
  end(): void {
    this.closed = true
    this.emit('close')
  }
}
const answer = (): ServerResponse & Ending => new Ending() as unknown as ServerResponse & Ending

const codeOf = (error: unknown): unknown => (isKnellError(error) ? error.code : error)

describe('a cap', () => {
  it('refuses one owner what is past the most, and no other', () => {
    const cap = new Cap(2, 'calls')
    const gives = [cap.take('a'), cap.take('a')]
    expect(() => cap.take('a'))
      .to.throw('no more are taken')
      .with.property('code', 'too_many_requests')
    cap.take('b')
    gives[0]?.()
    gives[0]?.()
    cap.take('a')
    expect(() => cap.take('a')).to.throw('no more are taken')
    expect([cap.of('a'), cap.of('b')]).to.deep.equal([2, 1])
  })

  it('counts a call until its answer has ended, and not at all where the caller is gone already', () => {
    const cap = new Cap(2, 'calls')
    const [one, gone] = [answer(), answer()]
    gone.end()
    cap.takeFor('a', one)
    cap.takeFor('a', gone)
    expect(cap.of('a')).to.equal(1)
    one.end()
    expect(cap.of('a')).to.equal(0)
  })
})

describe('turns', () => {
  const limits = { places: 2, each: 1, waiting: 2 }

  it('come to other owners while one waits for its own, and are refused past the most', async () => {
    const turns = new Turns(limits, 'snapshots')
    const [first, second, third] = [answer(), answer(), answer()]
    await turns.wait('a', first)
    const seen: string[] = []
    const later = [second, third].map(async (response, i) => {
      await turns.wait('a', response)
      seen.push(`a${i}`)
    })
    await turns.wait('b', answer())
    expect(codeOf(await turns.wait('a', answer()).catch((error: unknown) => error))).to.equal(
      'too_many_requests',
    )
    first.end()
    await later[0]
    expect(seen).to.deep.equal(['a0'])
    second.end()
    await later[1]
  })

  it('pass over a caller that went while it waited, and one that was gone before', async () => {
    const turns = new Turns({ places: 1, each: 1, waiting: 5 }, 'snapshots')
    const [first, gone, before, last] = [answer(), answer(), answer(), answer()]
    await turns.wait('a', first)
    const left = turns.wait('a', gone).catch(codeOf)
    gone.end()
    expect(await left).to.equal('invalid_request')
    before.end()
    expect(await turns.wait('a', before).catch(codeOf)).to.equal('invalid_request')
    const mine = turns.wait('a', last)
    first.end()
    await mine
    last.end()
    await turns.wait('a', answer())
  })

  it('let everyone go on when the process stops', async () => {
    const turns = new Turns(limits, 'snapshots')
    await turns.wait('a', answer())
    const waiting = turns.wait('a', answer())
    turns.stop()
    await waiting
  })
})

describe('failed authentications', () => {
  it('are too many only past the most, only of one address, and only until the window ends', () => {
    const failures = new Failures(2, 1000)
    expect([0, 1, 2, 3].map((at) => failures.add('10.0.0.1', at))).to.deep.equal([0, 0, 998, 997])
    expect(failures.add('10.0.0.2', 3)).to.equal(0)
    expect(failures.add('10.0.0.1', 999)).to.equal(1)
    expect(failures.add('10.0.0.1', 1000)).to.equal(0)
  })

  it('are remembered of so many addresses only, the newest', () => {
    const failures = new Failures(1, 1000)
    for (let i = 0; i < 30_000; i++)
      failures.add(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, i / 100)
    expect(failures.size).to.equal(10_000)
    expect(failures.add('10.0.117.47', 300)).to.be.greaterThan(0)
  })

  it('count a network of IPv6 as one address', () => {
    expect(networkOf('2001:db8:1:2:3:4:5:6')).to.equal(networkOf('2001:db8:1:2::9'))
    expect(networkOf('2001:db8:1:2::1')).to.not.equal(networkOf('2001:db8:1:3::1'))
    expect(networkOf('::1')).to.equal('0:0:0:0')
    expect(networkOf('::ffff:10.0.0.1')).to.not.equal(networkOf('::ffff:10.0.0.2'))
  })
})

describe('looking for news', () => {
  it('stays quick for few tenants and bounded for many', () => {
    expect(planLookMs(4)).to.equal(100)
    expect(planLookMs(800)).to.equal(100)
    expect(planLookMs(4000)).to.equal(500)
  })
})
