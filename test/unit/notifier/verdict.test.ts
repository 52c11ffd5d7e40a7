import { expect } from 'chai'
import { judgeEnforcement, type Evidence } from '../../../notifier/verdict.ts'
import type { Instance } from '../../../shared/store/instance-store.ts'
import type { Seen } from '../../../shared/store/population.ts'

const LATE_MS = 8000

function seen(more: Partial<Omit<Seen, 'instance'>> & { instance?: Partial<Instance> } = {}): Seen {
  const { instance, ...rest } = more
  return {
    tenant: 'default',
    ageMs: 600_000,
    isGone: false,
    staleMs: 1000,
    behind: 0,
    ...rest,
    instance: {
      service: 'orders',
      instance: 'one',
      joinedAt: 0,
      maxStalenessMs: 30_000,
      silentMs: 0,
      applied: [],
      state: 'ready',
      asOf: 1,
      ...instance,
    },
  }
}

function judge(instances: Seen[] | undefined, more: Partial<Evidence> = {}) {
  return judgeEnforcement({
    population: instances && { isSettled: true, seen: instances },
    unsentMs: 0,
    isBrokerUp: true,
    isBrokerBlocked: false,
    beatMs: 2000,
    ...more,
  })
}

const lenient = { maxStalenessMs: null }

describe('the verdict on enforcement', () => {
  const cases: [string, Seen[] | undefined, Partial<Evidence>, string, RegExp][] = [
    ['a store that does not answer', undefined, {}, 'failing', /Redis does not answer/],
    ['nobody who listens', [], {}, 'ok', /No instance/],
    ['views that are up to date', [seen(), seen()], {}, 'ok', /All 2 live/],
    [
      'one that lacks news of a moment ago',
      [seen(), seen({ behind: 1, staleMs: 3000 })],
      {},
      'ok',
      /^1 of 2 live instances have applied everything, not orders\/one: it lacks 1 entry, last up to date 3 s ago\.$/,
    ],
    [
      'several that are not known to have applied all yet',
      [seen({ behind: null, staleMs: null, ageMs: 9 }), seen({ behind: 3 }), seen()],
      {},
      'ok',
      /^1 of 3 live instances have applied everything, not orders\/one and 1 more: it lacks 3/,
    ],
    [
      'one that lacks news for longer, and may let in what was revoked',
      [seen(), seen({ behind: 3, staleMs: LATE_MS + 1 })],
      {},
      'failing',
      /orders\/one may still let in .* it lacks 3 entries, last up to date 8 s ago/,
    ],
    [
      'one that has let nobody in since its limit',
      [seen({ behind: 3, staleMs: 30_001 })],
      {},
      'degraded',
      /stale for 30 s and lets nobody in/,
    ],
    [
      'one without a limit, however stale it is',
      [seen({ behind: 1, staleMs: 3_600_000, instance: lenient })],
      {},
      'failing',
      /it lacks 1 entry/,
    ],
    [
      'one that was not heard of for a while, with nothing new to apply',
      [seen({ behind: 0, staleMs: LATE_MS + 1 })],
      {},
      'degraded',
      /last heard of 8 s ago, up to date/,
    ],
    [
      'one that speaks of another term',
      [seen({ behind: null, staleMs: LATE_MS + 1 })],
      {},
      'failing',
      /has not said what it contains/,
    ],
    [
      'one that boots',
      [seen({ staleMs: null, behind: null, ageMs: 30_000 }), seen()],
      {},
      'ok',
      /^1 of 2 .*: it boots and lets nobody in yet\.$/,
    ],
    [
      'one that does not get its snapshot',
      [seen({ staleMs: null, behind: null, ageMs: 30_001 })],
      {},
      'degraded',
      /no snapshot yet/,
    ],
    [
      'one that lets in whom it knows nothing of',
      [seen({ staleMs: null, behind: null, ageMs: 0, instance: lenient })],
      {},
      'failing',
      /may still let in/,
    ],
    [
      'one that is gone',
      [seen({ isGone: true, behind: 9, staleMs: 1e9 })],
      {},
      'ok',
      /No instance/,
    ],
    [
      'a store that has forgotten who listens',
      [],
      { population: { isSettled: false, seen: [] } },
      'degraded',
      /the store has begun a new term/,
    ],
    ['RabbitMQ away', [seen()], { isBrokerUp: false }, 'degraded', /RabbitMQ is away/],
    ['RabbitMQ blocked', [seen()], { isBrokerBlocked: true }, 'degraded', /blocks publishers/],
    ['a confirm that takes a moment', [seen()], { unsentMs: 10_000 }, 'ok', /All 1/],
    [
      'an outbox that could not be read',
      [seen()],
      { unsentMs: undefined },
      'degraded',
      /nobody can tell what waits for RabbitMQ/,
    ],
    ['a confirm that does not come', [seen()], { unsentMs: 10_001 }, 'degraded', /waited 10 s/],
  ]
  for (const [what, instances, more, verdict, reason] of cases) {
    it(`is ${verdict} with ${what}`, () => {
      const found = judge(instances, more)
      expect(found.verdict).to.equal(verdict)
      expect(found.reason).to.match(reason)
    })
  }

  it('names the worst, and how many more there are', () => {
    const worst = { service: 'billing', instance: 'two' }
    const found = judge([
      seen({ behind: 1, staleMs: 9000 }),
      seen({ behind: 5, staleMs: 20_000, instance: worst }),
      seen(),
      seen({ isGone: true }),
    ])
    expect(found.reason).to.match(/^billing\/two and 1 more may still/)
    expect(found).to.deep.include({
      live: 3,
      stale: 2,
      slowest: { ...worst, behind: 5, staleMs: 20_000 },
    })
  })

  it('waits longer where beats are rare', () => {
    const late = [seen({ behind: 1, staleMs: 15_000 })]
    expect(judge(late, { beatMs: 2000 }).verdict).to.equal('failing')
    expect(judge(late, { beatMs: 4000 }).verdict).to.equal('ok')
    expect(judge([seen({ behind: 1, staleMs: 5000 })], { beatMs: 100 }).verdict).to.equal('ok')
  })
})
