import { expect } from 'chai'
import type { Claims, Header } from '../../../shared/domain/claims.ts'
import type { DecisionCode } from '../../../shared/domain/decision.ts'
import type { ExpiryEntry, ExpiryKind } from '../../../shared/domain/entry.ts'
import { violationsOf, type AskedView, type History } from '../../../shared/testing/history.ts'

const NOW = 1_000_000
const life = { iat: NOW - 100, exp: NOW + 100 }

function historyOf(more: Partial<History> = {}): History {
  return { acknowledged: [], unknown: [], spared: [], life, now: NOW, ...more }
}

/** A view that refuses what `dead` says. */
function viewOf(name: string, dead: (claims: Claims, header: Header) => DecisionCode): AskedView {
  return { name, check: (claims, header = {}) => ({ code: dead(claims, header) }) }
}

function entryOf(
  seq: number,
  at: number,
  jtis: readonly string[],
  kind: ExpiryKind = 'expired',
): ExpiryEntry {
  const events = jtis.map((jti) => ({ jti, exp: NOW }))
  const place = { tenant: 'default', log: 'expiries', shard: 0, epoch: '1.ab', seq } as const
  return { v: 1, ...place, at: NOW * 1000 + at, kind, events }
}

describe('the history check', () => {
  const forgetful = viewOf('forgetful', () => 'active')
  const knowing = viewOf('knowing', ({ sub }) => (sub === 'alice' ? 'revoked' : 'active'))
  const alice = { match: { sub: 'alice' }, issuedBefore: NOW }

  it('finds nothing where every view knows what was acknowledged and nothing else', async () => {
    const spared = [{ claims: { sub: 'bob', ...life } }]
    const due = [{ jti: 'a', exp: NOW }]
    const expiries = [entryOf(1, 0, ['a'])]
    const history = historyOf({ acknowledged: [alice], spared, expiries, due })
    expect(await violationsOf(history, [knowing, knowing])).to.deep.equal([])
  })

  for (const code of ['active', 'stale', 'not_ready', 'expired'] as const) {
    it(`finds an acknowledged revocation of which a view says ${code}`, async () => {
      const history = historyOf({ acknowledged: [alice] })
      const views = [knowing, viewOf('late', () => code)]
      expect(await violationsOf(history, views)).to.deep.equal([
        `The revocation of {"sub":"alice"} was acknowledged, but late says ${code}.`,
      ])
    })
  }

  it('takes a held token for refused, and waits for views that answer later', async () => {
    const history = historyOf({ acknowledged: [alice] })
    const held = viewOf('held', () => 'held')
    const slow = { name: 'slow', check: () => Promise.resolve({ code: 'active' as const }) }
    expect(await violationsOf(history, [held])).to.deep.equal([])
    expect(await violationsOf(history, [slow])).to.have.length(1)
  })

  it('shows the key id in the header and the times in the claims', async () => {
    const asked: unknown[] = []
    const view = viewOf('view', (claims, header) => {
      asked.push([claims, header])
      return 'revoked'
    })
    await violationsOf(historyOf({ acknowledged: [{ match: { kid: 'k', aud: 'x' } }] }), [view])
    expect(asked).to.deep.equal([[{ aud: 'x', ...life }, { kid: 'k' }]])
  })

  it('finds a token that dies of no call', async () => {
    const spared = [{ claims: { sub: 'alice', ...life } }]
    expect(await violationsOf(historyOf({ spared }), [knowing, forgetful])).to.deep.equal([
      `knowing says that ${JSON.stringify(spared[0]?.claims)} is revoked, though no call covers it.`,
    ])
  })

  it('lets die what a call covers, of known outcome or not', async () => {
    const spared = [{ claims: { sub: 'alice', ...life } }]
    const { match } = alice
    for (const calls of [{ acknowledged: [alice] }, { unknown: [{ match }] }]) {
      expect(await violationsOf(historyOf({ spared, ...calls }), [knowing])).to.deep.equal([])
    }
  })

  for (const [what, issuedBefore, violations] of [
    ['one second before the cut-off', life.iat + 1, 0],
    ['in the second of the cut-off', life.iat, 0],
    ['one second after the cut-off', life.iat - 1, 1],
    ['whenever, where the cut-off names no time', null, 0],
  ] as const) {
    it(`judges a token issued ${what}`, async () => {
      const unknown = [{ match: { sub: 'alice' }, issuedBefore }]
      const spared = [{ claims: { sub: 'alice', ...life } }]
      const found = await violationsOf(historyOf({ unknown, spared }), [knowing])
      expect(found).to.have.length(violations)
    })
  }

  it('finds a token that dies though the call excepts it', async () => {
    const unknown = [{ match: { sub: 'alice' }, issuedBefore: null, except: { sid: 's' } }]
    const spared = [
      { claims: { sub: 'alice', sid: 's', ...life } },
      { claims: { sub: 'alice', sid: 't', ...life } },
    ]
    expect(await violationsOf(historyOf({ unknown, spared }), [knowing])).to.have.length(1)
  })

  it('finds a token that is called expired before its exp, not one at it', async () => {
    const expired = viewOf('hasty', () => 'expired')
    const spared = [{ claims: { jti: 'a', iat: NOW, exp: NOW + 1 } }]
    expect(await violationsOf(historyOf({ spared }), [expired])).to.deep.equal([
      `hasty calls ${JSON.stringify(spared[0]?.claims)} expired before its exp.`,
    ])
    const later = historyOf({ spared, now: NOW + 1 })
    expect(await violationsOf(later, [expired])).to.deep.equal([])
  })

  it('finds what the feed announces at two places, not an entry that was read twice', async () => {
    const once = [entryOf(1, 0, ['a']), entryOf(1, 0, ['a']), entryOf(2, 0, ['b'])]
    expect(await violationsOf(historyOf({ expiries: once }), [])).to.deep.equal([])
    const twice = [...once, entryOf(3, 0, ['c', 'b'])]
    expect(await violationsOf(historyOf({ expiries: twice }), [])).to.deep.equal([
      `The feed announces b of default with exp ${NOW} twice, at default.0.1.ab-2 and default.0.1.ab-3.`,
    ])
    const again = [entryOf(1, 0, ['a', 'a'])]
    expect(await violationsOf(historyOf({ expiries: again }), [])).to.have.length(1)
  })

  for (const [at, violations] of [
    [-1, 1],
    [0, 0],
    [1, 0],
  ] as const) {
    it(`judges an announcement ${at} ms from the exp`, async () => {
      const found = await violationsOf(historyOf({ expiries: [entryOf(1, at, ['a'])] }), [])
      expect(found).to.have.length(violations)
    })
  }

  it('does not take a lead time for an expiry', async () => {
    const expiries = [entryOf(1, -5000, ['a'], 'expiring'), entryOf(2, 0, ['a'])]
    expect(await violationsOf(historyOf({ expiries }), [])).to.deep.equal([])
  })

  it('finds a registered token that was never announced, or only with another exp', async () => {
    const due = [
      { jti: 'a', exp: NOW },
      { jti: 'b', exp: NOW - 1 },
    ]
    const expiries = [entryOf(1, 0, ['a', 'b'])]
    expect(await violationsOf(historyOf({ expiries, due }), [])).to.deep.equal([
      `The feed never announces b of default with exp ${NOW - 1}, which was registered.`,
    ])
  })
})
