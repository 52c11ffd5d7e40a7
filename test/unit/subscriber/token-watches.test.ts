import { expect } from 'chai'
import fc from 'fast-check'
import { setImmediate as turn } from 'node:timers/promises'
import type { Claims, Match } from '../../../shared/domain/claims.ts'
import { deathOf } from '../../../shared/domain/death.ts'
import type { Rule } from '../../../shared/domain/rule.ts'
import { StoreClock } from '../../../shared/domain/store-clock.ts'
import { View } from '../../../shared/domain/view.ts'
import { TokenWatches } from '../../../shared/subscriber/token-watches.ts'
import { eventually } from '../../support/eventually.ts'
import { thisMoment } from '../../../shared/process/this-moment.ts'

const TERM = 1000

/** The clock of a store that shows `ms` now. */
function clockAt(ms: number): StoreClock {
  const clock = new StoreClock()
  clock.set(ms, thisMoment(), thisMoment())
  return clock
}

function readyView(tenant = 'default'): View {
  const view = new View(tenant, { seed: 1 })
  const tails = [{ epoch: `${TERM}.a`, seq: 0 }]
  const maxTokenTtl = [{ from: 0, seconds: 3600 }]
  view.endSnapshot({ tenant, at: 1, tails: { revocations: tails, expiries: tails }, maxTokenTtl })
  return view
}

function watchesOn(clock: StoreClock, faults: unknown[] = []): TokenWatches {
  const log = { debug() {}, info() {}, warn() {} }
  return new TokenWatches({ clock, observe: false, log, onFault: (error) => faults.push(error) })
}

function revoked(match: Match, seq: number, more: Partial<Rule> = {}): Rule {
  const cutoffs = [{ id: `r0-${TERM}-${seq}-0`, issuedBefore: null }]
  return { match, cutoffs, until: 2 ** 31, ...more }
}

interface VersionSeen {
  readonly match: Match
  readonly term: number
  readonly seq: number
  readonly state: string
}

describe('TokenWatches', () => {
  const store = 1_700_000_000
  let watches: TokenWatches
  afterEach(() => watches.close())

  /** Puts a version of a rule into a view and says so, as a follower does. */
  function put(view: View, seq: number, rule: Rule, term: number = TERM): void {
    if (view.putRule(0, { term, seq }, rule)) watches.changed(view, 0, rule)
  }

  it("goes by the store's clock, wherever this machine's stands", async () => {
    // The store's clock stands years behind.
    watches = watchesOn(clockAt(store * 1000 + 900))
    const view = readyView()
    const soon = watches.signal(view, { jti: 'a', exp: store + 1 }, undefined)
    const fraction = watches.signal(view, { jti: 'b', exp: store + 0.95 }, undefined)
    const later = watches.signal(view, { jti: 'c', exp: store + 60 }, undefined)
    const past = watches.signal(view, { jti: 'd', exp: store }, undefined)
    expect([soon, fraction, later, past].map(({ aborted }) => aborted)).to.deep.equal([
      false,
      false,
      false,
      true,
    ])
    await eventually(() => soon.aborted && fraction.aborted)
    expect(soon.reason).to.include({ code: 'expired' })
    expect(later.aborted).to.equal(false)
  })

  it('lets a token live whose time is yet to come again, since the clock was set back, and ends it then', async () => {
    const clock = clockAt(store * 1000 + 980)
    watches = watchesOn(clock)
    const view = readyView()
    let toSetBack = true
    const heard: string[] = []
    for (let i = 0; i < 100; i++) {
      watches.watch(view, { jti: `a${i}`, exp: store + 1 }, undefined, () => {
        heard.push(`a${i}`)
        // In the middle of what is judged together.
        if (toSetBack) clock.set(store * 1000 + 800, thisMoment(), thisMoment())
        toSetBack = false
      })
    }
    await eventually(() => heard.length > 0, { intervalMs: 1 })
    expect(heard.length).to.be.below(100)
    await eventually(() => heard.length === 100)
    expect(watches.size).to.equal(0)
  })

  it('ends no token for an event alone: what was restored before it is told of lives', () => {
    watches = watchesOn(clockAt(store * 1000))
    const view = readyView()
    const signal = watches.signal(view, { sub: 'alice', iat: 5 }, undefined)
    const rule = revoked({ sub: 'alice' }, 1)
    view.putRule(0, { term: TERM, seq: 1 }, rule)
    view.putRule(0, { term: TERM, seq: 2 }, { match: { sub: 'alice' }, until: 2 ** 31 })
    watches.changed(view, 0, rule)
    expect(signal.aborted).to.equal(false)
    put(view, 3, revoked({ sub: 'alice' }, 3))
    expect(signal.aborted).to.equal(true)
  })

  it('ends what a hold covers, and brings nothing back when it is released', () => {
    watches = watchesOn(clockAt(store * 1000))
    const view = readyView()
    const signal = watches.signal(view, { sub: 'alice' }, undefined)
    put(view, 1, {
      match: { sub: 'alice' },
      held: true,
      holdId: 'h',
      until: null,
      reason: 'anomaly',
    })
    expect(signal.reason).to.include({ code: 'held', reason: 'anomaly', tenant: 'default' })
    put(view, 2, { match: { sub: 'alice' }, lifted: ['h'], until: 2 ** 31 })
    expect(signal.aborted).to.equal(true)
    expect(watches.signal(view, { sub: 'alice' }, undefined).aborted).to.equal(false)
  })

  it('ends what an older term still holds when a newer one no longer lifts it', () => {
    watches = watchesOn(clockAt(store * 1000))
    const view = readyView()
    put(view, 1, { match: { sub: 'alice' }, lifted: ['r0-500-1-0'], until: 2 ** 31 })
    const old = {
      ...revoked({ sub: 'alice' }, 1),
      cutoffs: [{ id: 'r0-500-1-0', issuedBefore: null }],
    }
    put(view, 1, old, 500)
    const signal = watches.signal(view, { sub: 'alice' }, undefined)
    expect(signal.aborted).to.equal(false)
    put(view, 2, { match: { sub: 'alice' }, until: 2 ** 31 })
    expect(signal.aborted).to.equal(true)
  })

  it('spares, of very many, those whose turn has not come when the rule is restored', async () => {
    watches = watchesOn(clockAt(store * 1000))
    const view = readyView()
    const count = 200_000
    for (let i = 0; i < count; i++) {
      watches.watch(view, { jti: `j${i}`, client_id: 'app' }, undefined, () => {})
    }
    put(view, 1, revoked({ client_id: 'app' }, 1))
    // Nobody is judged for a rule that concerns all before others have had their turn.
    expect(watches.size).to.equal(count)
    await turn()
    await turn()
    expect(watches.size).to.be.within(1, count - 1)
    put(view, 2, { match: { client_id: 'app' }, until: 2 ** 31 })
    const left = watches.size
    for (let i = 0; i < 5; i++) await turn()
    expect(watches.size).to.equal(left)
  }).timeout(30_000)

  it('tells of a rule about one token at once, whatever else there is to judge', async () => {
    watches = watchesOn(clockAt(store * 1000))
    const [large, small] = [readyView('large'), readyView('small')]
    const listen = (): void => {}
    for (let i = 0; i < 100_000; i++) watches.watch(large, { jti: `j${i}` }, undefined, listen)
    const here = watches.signal(large, { jti: 'here', client_id: 'b' }, undefined)
    const there = watches.signal(small, { jti: 'there', client_id: 'b' }, undefined)
    put(large, 1, revoked({ client_id: 'a' }, 1))
    put(large, 2, revoked({ jti: 'here' }, 2))
    expect(here.aborted).to.equal(true)
    // The pass of one tenant does not keep another's waiting.
    put(small, 1, revoked({ client_id: 'b' }, 1))
    await turn()
    await turn()
    expect(there.aborted).to.equal(true)
    expect(there.reason).to.include({ tenant: 'small' })
  }).timeout(30_000)

  it('may be closed by whoever is told', async () => {
    watches = watchesOn(clockAt(store * 1000))
    const view = readyView()
    const heard: number[] = []
    for (let i = 0; i < 100; i++) {
      watches.watch(view, { jti: `j${i}`, sub: 'alice' }, undefined, () => {
        heard.push(i)
        watches.close()
      })
    }
    put(view, 1, revoked({ sub: 'alice' }, 1))
    await turn()
    expect(heard).to.have.length(1)
    expect(watches.size).to.equal(0)
  })

  it('tells each once, of whatever the view has come to hold, in any order of versions', async () => {
    const tokens: Claims[] = ['a', 'b', 'c'].flatMap((jti) =>
      ['u', 'v'].map((sub, i) => ({ jti, sub, client_id: 'app', iat: 10 + i, exp: store + 9 })),
    )
    const version = fc.record({
      match: fc.constantFrom<Match>(
        { jti: 'a' },
        { sub: 'u' },
        { client_id: 'app' },
        { sub: 'v', jti: 'b' },
        {},
      ),
      term: fc.constantFrom(500, TERM),
      seq: fc.integer({ min: 1, max: 9 }),
      state: fc.constantFrom('revoked', 'older', 'except', 'held', 'lifted', 'tombstone'),
    })
    const toRule = ({ match, term, seq, state }: VersionSeen): Rule => {
      const id = `r0-${term}-${seq}-0`
      const base = { match, until: 2 ** 31 }
      if (state === 'held') return { ...base, held: true, holdId: id }
      if (state === 'lifted') return { ...base, lifted: ['r0-500-1-0', 'r0-500-2-0', 'r0-500-3-0'] }
      if (state === 'tombstone') return base
      if (state === 'older') return { ...base, cutoffs: [{ id, issuedBefore: 10 }] }
      if (state === 'except')
        return { ...base, cutoffs: [{ id, issuedBefore: null, except: { sub: 'u' } }] }
      return { ...base, cutoffs: [{ id, issuedBefore: null }] }
    }
    await fc.assert(
      fc.asyncProperty(fc.array(version, { maxLength: 12 }), async (versions) => {
        watches = watchesOn(clockAt(store * 1000))
        const view = readyView()
        const told = tokens.map(() => 0)
        const dead = tokens.map(() => 0)
        for (const [i, claims] of tokens.entries()) {
          watches.watch(view, claims, undefined, () => (told[i] = (told[i] ?? 0) + 1))
        }
        for (const each of versions) {
          put(view, each.seq, toRule(each), each.term)
          await turn()
          for (const [i, claims] of tokens.entries()) {
            if (deathOf(claims, undefined, store, view.rules) !== undefined) dead[i] = 1
          }
          expect(told).to.deep.equal(dead)
        }
        watches.close()
      }),
      { numRuns: 300 },
    )
  })
})
