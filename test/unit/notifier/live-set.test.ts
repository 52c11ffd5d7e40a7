import { expect } from 'chai'
import { LiveSet } from '../../../notifier/live-set.ts'
import type { Position } from '../../../shared/domain/position.ts'
import type { Heard } from '../../../shared/relay/ack-ear.ts'
import type { Instance } from '../../../shared/store/instance-store.ts'

const at = (seq: number, term = 1): Position => ({ term, seq })

function instance(
  name: string,
  applied?: readonly Position[],
  more: Partial<Instance> = {},
): Instance {
  return {
    service: 'orders',
    instance: name,
    joinedAt: 0,
    maxStalenessMs: 30_000,
    silentMs: 0,
    applied,
    state: 'ready',
    asOf: 1,
    user: 'orders',
    ...more,
  }
}

function ack(name: string, applied: readonly Position[], more: Partial<Heard> = {}): Heard {
  return {
    service: 'orders',
    instance: name,
    applied,
    by: { user: 'orders' },
    left: false,
    ...more,
  }
}

function setOf(...instances: Instance[]): LiveSet {
  const live = new LiveSet()
  live.count({ at: 100, isSettled: true, instances }, 100)
  return live
}

const names = (live: LiveSet, position: Position, term?: number): string[] =>
  live
    .missing({ shard: 0, position, ...(term === undefined ? {} : { term }) })
    .map(({ instance }) => instance)

describe('a live set', () => {
  it('has everybody apply a position only when each has said so, and tells when the last did', () => {
    const live = setOf(instance('a', [at(5)]), instance('b', [at(4)]))
    expect(names(live, at(5))).to.deep.equal(['b'])
    expect(live.floor(0)).to.deep.equal({ position: at(4), at: 100 })
    live.hear(ack('b', [at(5)]), 120)
    expect(names(live, at(5))).to.deep.equal([])
    expect(live.floor(0)).to.deep.equal({ position: at(5), at: 120 })
    // The same word again says nothing new.
    live.hear(ack('b', [at(5)]), 150)
    expect(live.floor(0)?.at).to.equal(120)
  })

  it('knows no floor while somebody has said nothing, or nobody is there', () => {
    expect(setOf(instance('a', [at(5)]), instance('b')).floor(0)).to.equal(undefined)
    expect(setOf(instance('a', [at(5)])).floor(3)).to.equal(undefined)
    expect(setOf().floor(0)).to.equal(undefined)
  })

  it('believes an ack only of the user, or key, that the store knows the instance by', () => {
    const live = setOf(instance('a', [at(4)]), instance('b', [at(4)], { key: 'k' }))
    live.hear(ack('a', [at(9)], { by: { user: 'mallory' } }), 110)
    live.hear(ack('a', [at(9)], { by: { key: 'other' } }), 110)
    live.hear(ack('b', [at(9)], { by: { key: 'k' } }), 110)
    expect(names(live, at(5))).to.deep.equal(['a'])
  })

  it('says that it was told by a user whom the store has yet to learn of', () => {
    const { user: _, ...unknown } = instance('a', [at(4)])
    const live = setOf(unknown)
    expect(live.isUnbound).to.equal(false)
    live.hear(ack('a', [at(9)]), 110)
    expect([live.isUnbound, names(live, at(5))]).to.deep.equal([true, ['a']])
    live.count({ at: 120, isSettled: true, instances: [instance('a', [at(4)])] }, 120)
    expect([live.isUnbound, names(live, at(5))]).to.deep.equal([false, []])
    expect(live.floor(0)?.at).to.equal(110)
  })

  it('keeps what was heard before the store knew of the instance', () => {
    const live = new LiveSet()
    live.hear(ack('a', [at(7)]), 90)
    live.count({ at: 100, isSettled: true, instances: [instance('a')] }, 100)
    expect(live.floor(0)).to.deep.equal({ position: at(7), at: 90 })
  })

  it('counts one out that has left, also where the store still lists it', () => {
    const live = setOf(instance('a', [at(4)]))
    live.hear(ack('a', [], { left: true }), 110)
    expect(live.size).to.equal(0)
    live.count({ at: 120, isSettled: true, instances: [instance('a', [at(4)])] }, 120)
    expect(live.size).to.equal(0)
  })

  it('never goes back: a late read of the store undoes no ack', () => {
    const live = setOf(instance('a', [at(4)]))
    live.hear(ack('a', [at(6)]), 110)
    live.count({ at: 105, isSettled: true, instances: [instance('a', [at(4)])] }, 105)
    expect(live.floor(0)).to.deep.equal({ position: at(6), at: 110 })
  })

  it('takes a position of another term for applied only where the store is in that term and has the entry', () => {
    const live = setOf(instance('a', [at(1, 2)]))
    expect(names(live, at(9, 1))).to.deep.equal(['a'])
    expect(names(live, at(9, 1), 2)).to.deep.equal([])
    expect(names(live, at(9, 1), 3)).to.deep.equal(['a'])
    expect(names(live, at(1, 3), 3)).to.deep.equal(['a'])
  })
})
