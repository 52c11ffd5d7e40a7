import { expect } from 'chai'
import fc from 'fast-check'
import type { RevocationEntry, Entry } from '../../../shared/domain/entry.ts'
import { View } from '../../../shared/domain/view.ts'

const EPOCH = '1000.aa'
const NEXT_EPOCH = '2000.bb'
const AT = 1_800_000_000_000

function entry(
  seq: number,
  options: { shard?: number; epoch?: string; sub?: string } = {},
): RevocationEntry {
  const { shard = 0, epoch = EPOCH, sub = `u${seq}` } = options
  const term = epoch.split('.')[0]
  const cutoffs = [{ id: `r${shard}-${term}-${seq}-0`, issuedBefore: AT / 1000 }]
  return {
    v: 1,
    tenant: 'default',
    log: 'revocations',
    shard,
    epoch,
    seq,
    at: AT + seq,
    kind: 'revoked',
    events: [{ match: { sub }, cutoffs, until: AT / 1000 + 1000 }],
  }
}

function expiry(seq: number, epoch = EPOCH): Entry {
  const events = [{ jti: `t${seq}`, exp: 5 }]
  return {
    v: 1,
    tenant: 'default',
    log: 'expiries',
    shard: 0,
    epoch,
    seq,
    at: AT,
    kind: 'expired',
    events,
  }
}

const tail = (seq: number, epoch = EPOCH) => ({ epoch, seq })
const beat = (at: number, seq: number, epoch = EPOCH) => ({
  v: 1,
  tenant: 'default',
  at,
  tails: { revocations: [tail(seq, epoch)], expiries: [tail(0, epoch)] },
  maxTokenTtl: [{ from: 0, seconds: 3600 }],
})

function ready(seq = 0, epoch = EPOCH, view = new View('default')): View {
  const { tails, maxTokenTtl } = beat(AT, seq, epoch)
  view.endSnapshot({ tenant: 'default', at: AT, tails, maxTokenTtl })
  return view
}

const dead = (view: View, sub: string): boolean =>
  view.judge({ sub, iat: AT / 1000 - 5, exp: AT / 1000 + 50 }, {}, AT / 1000).code === 'revoked'

describe('View', () => {
  it('knows the same and stands at the same place whatever the order in which entries come', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(
          Array.from({ length: 20 }, (_, i) => i + 1),
          { minLength: 20 },
        ),
        fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 10 }),
        (order, repeats) => {
          const view = ready()
          for (const seq of [...order, ...repeats]) view.apply(entry(seq))
          expect(view.positions('revocations')).to.deep.equal([{ term: 1000, seq: 20 }])
          for (let seq = 1; seq <= 20; seq++) expect(dead(view, `u${seq}`)).to.equal(true)
          expect(dead(view, 'somebody')).to.equal(false)
        },
      ),
    )
  })

  it('passes on each change once', () => {
    const view = ready()
    expect(view.apply(entry(1)).rules).to.have.length(1)
    expect(view.apply(entry(1)).rules).to.have.length(0)
  })

  it('counts a beat as contained only when its tails are reached', () => {
    const view = ready()
    expect(view.hear(beat(AT + 500, 3))).to.equal('behind')
    expect(view.asOf).to.equal(AT)
    view.apply(entry(1))
    view.apply(entry(3))
    expect(view.asOf).to.equal(AT)
    view.apply(entry(2))
    expect(view.asOf).to.equal(AT + 500)
  })

  it('takes a beat with a lower tail for merely old', () => {
    const view = ready(5)
    expect(view.hear(beat(AT + 100, 3))).to.equal('reached')
    expect(view.needsSnapshot).to.equal(false)
    expect(view.positions('revocations')[0]?.seq).to.equal(5)
  })

  it('ignores a beat of a lower term and keeps to its epoch', () => {
    const view = ready(5, NEXT_EPOCH)
    expect(view.hear(beat(AT + 100, 9, EPOCH))).to.equal('older')
    expect(view.asOf).to.equal(AT)
    expect(view.needsSnapshot).to.equal(false)
  })

  it('merges a lower-term entry without moving', () => {
    const view = ready(5, NEXT_EPOCH)
    view.apply(entry(9, { sub: 'late' }))
    expect(dead(view, 'late')).to.equal(true)
    expect(view.positions('revocations')).to.deep.equal([{ term: 2000, seq: 5 }])
  })

  it('asks for a snapshot in a new term, and in the same term with another random', () => {
    for (const epoch of [NEXT_EPOCH, '1000.cc']) {
      const view = ready(5)
      expect(view.apply(entry(1, { epoch })).arrival).to.equal('foreign')
      expect(view.needsSnapshot).to.equal(true)
      ready(1, epoch, view)
      expect(view.needsSnapshot).to.equal(false)
    }
  })

  it('keeps what it had when a store comes back empty', () => {
    const view = ready()
    view.apply(entry(1, { sub: 'alice' }))
    view.hear(beat(AT + 900, 0, NEXT_EPOCH))
    expect(view.needsSnapshot).to.equal(true)
    ready(0, NEXT_EPOCH, view)
    expect(dead(view, 'alice')).to.equal(true)
  })

  it('counts what came of a new epoch before its snapshot', () => {
    const view = ready(5)
    view.apply(entry(2, { epoch: NEXT_EPOCH }))
    view.apply(entry(3, { epoch: NEXT_EPOCH }))
    ready(1, NEXT_EPOCH, view)
    expect(view.positions('revocations')).to.deep.equal([{ term: 2000, seq: 3 }])
  })

  it('does not take times of the store before for those of a new one whose clock is behind', () => {
    const view = ready(5)
    const { tails, maxTokenTtl } = beat(AT, 0, NEXT_EPOCH)
    view.endSnapshot({ tenant: 'default', at: AT - 300_000, tails, maxTokenTtl })
    expect(view.asOf).to.equal(AT - 300_000)
  })

  it('refuses a page that lacks what it knows', () => {
    const view = ready(5)
    const page = {
      tenant: 'default',
      log: 'revocations' as const,
      at: AT + 100,
      more: false,
      trimmed: [],
      entries: [],
    }
    expect(view.applyPage({ ...page, tails: [tail(4)] }).standing).to.equal('older')
    expect(view.asOf).to.equal(AT)
    expect(view.applyPage({ ...page, tails: [tail(5)] }).standing).to.equal('reached')
    expect(view.asOf).to.equal(AT + 100)
  })

  it('asks for a snapshot when the feed was trimmed past it', () => {
    const view = ready(5)
    view.applyPage({
      tenant: 'default',
      log: 'revocations',
      at: AT,
      more: false,
      trimmed: [0],
      entries: [],
      tails: [tail(90)],
    })
    expect(view.needsSnapshot).to.equal(true)
  })

  it('is not ready, and contains nothing, before its first snapshot', () => {
    const view = new View('default')
    view.hear(beat(AT, 0))
    expect(view.ready).to.equal(false)
    expect(view.asOf).to.equal(0)
  })

  it('hears each expiry once and goes on into a new epoch in the order of the feed', () => {
    const view = ready()
    view.startExpiries([tail(1)])
    expect(view.apply(expiry(1)).expiries).to.have.length(0)
    expect(view.apply(expiry(2)).expiries).to.have.length(1)
    expect(view.apply(expiry(2)).expiries).to.have.length(0)
    expect(view.apply(expiry(1, NEXT_EPOCH)).expiries).to.have.length(0)
    const { applied } = view.applyPage({
      tenant: 'default',
      log: 'expiries',
      at: AT,
      more: false,
      trimmed: [],
      entries: [expiry(3), expiry(1, NEXT_EPOCH), expiry(2, NEXT_EPOCH)],
      tails: [tail(2, NEXT_EPOCH)],
    })
    expect(applied.map(({ expiries }) => expiries.length)).to.deep.equal([1, 1, 1])
    expect(view.positions('expiries')).to.deep.equal([{ term: 2000, seq: 2 }])
  })

  it('never hears of a token as expiring once it has heard of it as expired, in whatever order entries come', () => {
    const exp = AT / 1000 + 10
    const at = (seq: number, ms: number, kind: 'expired' | 'expiring', jti: string): Entry => {
      const more = kind === 'expiring' ? { inSeconds: 5 } : {}
      return { ...expiry(seq), log: 'expiries', kind, at: AT + ms, events: [{ jti, exp, ...more }] }
    }
    const heard = (view: View, entry: Entry): string[] =>
      view.apply(entry).expiries.map(({ jti }) => jti)
    const expiring = [at(1, 5000, 'expiring', 'a'), at(2, 5001, 'expiring', 'b')] as const
    const expired = at(3, 10_000, 'expired', 'a')

    const inOrder = ready()
    inOrder.startExpiries([tail(0)])
    expect([...expiring, expired].flatMap((one) => heard(inOrder, one))).to.deep.equal([
      'a',
      'b',
      'a',
    ])
    const reordered = ready()
    reordered.startExpiries([tail(0)])
    expect(heard(reordered, expiring[1])).to.deep.equal(['b'])
    expect(heard(reordered, expired)).to.deep.equal(['a'])
    expect(heard(reordered, expiring[0])).to.deep.equal([])
    expect(reordered.expiries.hasHole, 'it counts as heard').to.equal(false)
  })
})
