import { expect } from 'chai'
import fc from 'fast-check'
import { FairTurns, type TurnLimits } from '../../../shared/domain/fair-turns.ts'

const open: TurnLimits = { places: 4, each: 2, waiting: 100 }

describe('fair turns', () => {
  it('start work in the stack of the caller where there is a place', () => {
    const turns = new FairTurns(open)
    const started: string[] = []
    turns.enter('a', () => started.push('a'))
    expect(started).to.deep.equal(['a'])
  })

  it('let another owner in at once while one has more than it may run', () => {
    const turns = new FairTurns(open)
    const started: string[] = []
    for (let i = 0; i < 50; i++) turns.enter('a', () => started.push('a'))
    turns.enter('b', () => started.push('b'))
    expect(started).to.deep.equal(['a', 'a', 'b'])
  })

  it('give the next place to who comes after at most one of each other owner', () => {
    const turns = new FairTurns({ places: 2, each: 2, waiting: 100 })
    const started: string[] = []
    for (const owner of ['a', 'a', 'a', 'a', 'c', 'c', 'c', 'b']) {
      turns.enter(owner, () => started.push(owner))
    }
    for (let ended = 0; ended < started.length; ended++) turns.leave(String(started[ended]))
    expect(started.slice(2, 5).sort()).to.deep.equal(['a', 'b', 'c'])
    expect(started).to.have.length(8)
  })

  it('bound what one owner and all together may leave waiting, but for a few of each', () => {
    const turns = new FairTurns({ places: 1, each: 1, waiting: 5, waitingInAll: 6, reserved: 2 })
    const taken = (owner: string, count: number): number =>
      Array.from({ length: count }, () => turns.enter(owner, () => {})).filter(Boolean).length
    expect(taken('a', 10), 'one runs, five wait').to.equal(6)
    expect(taken('b', 10)).to.equal(2)
    expect(taken('c', 10)).to.equal(2)
    expect(turns.waiting).to.equal(9)
    expect(turns.of('a')).to.equal(6)
  })

  it('go on after work that ends within its own start, however much there is', () => {
    const turns = new FairTurns({ places: 1, each: 1, waiting: 100_000 })
    let ended = 0
    turns.enter('a', () => {})
    for (let i = 0; i < 50_000; i++) {
      turns.enter('a', () => {
        ended += 1
        turns.leave('a')
      })
    }
    turns.leave('a')
    expect(ended).to.equal(50_000)
    expect(turns.of('a')).to.equal(0)
  })

  it('never run too much at once, lose nothing and start each owner’s in order', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ op: fc.constant('enter' as const), owner: fc.constantFrom('a', 'b', 'c') }),
        fc.record({ op: fc.constant('leave' as const), at: fc.nat(5) }),
        fc.record({ op: fc.constant('give up' as const), at: fc.nat(20) }),
      ),
      { maxLength: 200 },
    )
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 4 }), (list, places) => {
        const turns = new FairTurns({ places, each: 2, waiting: 6 })
        const running: { owner: string; number: number }[] = []
        const waiting: { owner: string; number: number; giveUp: () => void }[] = []
        let number = 0
        const last = new Map<string, number>()
        const check = (): void => {
          expect(running.length).to.be.at.most(places)
          for (const owner of ['a', 'b', 'c']) {
            const own = running.filter((item) => item.owner === owner).length
            expect(own).to.be.at.most(2)
            const left = waiting.filter((item) => item.owner === owner).length
            expect(turns.of(owner)).to.equal(own + left)
            // Whoever waits does so for a reason.
            if (left > 0) expect(own === 2 || running.length === places).to.equal(true)
          }
        }
        const leave = (at: number): void => {
          const [item] = running.splice(at % Math.max(running.length, 1), 1)
          if (item !== undefined) turns.leave(item.owner)
        }
        for (const step of list) {
          if (step.op === 'enter') {
            const { owner } = step
            const mine = ++number
            let isStarted = false
            const giveUp = turns.enter(owner, () => {
              isStarted = true
              expect(mine).to.be.greaterThan(last.get(owner) ?? 0)
              last.set(owner, mine)
              const at = waiting.findIndex((item) => item.number === mine)
              if (at !== -1) waiting.splice(at, 1)
              running.push({ owner, number: mine })
            })
            if (giveUp !== undefined && !isStarted) waiting.push({ owner, number: mine, giveUp })
          } else if (step.op === 'leave') {
            leave(step.at)
          } else {
            const [item] = waiting.splice(step.at % Math.max(waiting.length, 1), 1)
            item?.giveUp()
          }
          check()
        }
        while (running.length > 0) leave(0)
        expect(waiting).to.deep.equal([])
        for (const owner of ['a', 'b', 'c']) expect(turns.of(owner)).to.equal(0)
      }),
    )
  })
})
