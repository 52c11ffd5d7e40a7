import { expect } from 'chai'
import pino from 'pino'
import type { Match } from '../../../shared/domain/claims.ts'
import type { Rule } from '../../../shared/domain/rule.ts'
import { RuleTable } from '../../../shared/domain/rule-table.ts'
import { termOf } from '../../../shared/domain/position.ts'
import { DueChanges } from '../../../shared/relay/due-changes.ts'
import type { HoldChange, RevokeChange } from '../../../shared/store/changes.ts'
import { FamilyStore } from '../../../shared/store/family-store.ts'
import { UpkeepStore } from '../../../shared/store/upkeep-store.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'

const TENANT = 'default'
const TTL = 300
const LIFE = 86_400
const LIVES = { ttlSeconds: TTL, skewSeconds: 0 }

describe('rules, where refresh tokens may be alive,', () => {
  let test: TestStore
  let families: FamilyStore
  beforeEach(() => {
    test = openTestStore({ shards: 1 })
    families = new FamilyStore(test.store)
  })
  afterEach(() => test.close())

  const now = (): Promise<number> => test.now(TENANT)
  const pass = (seconds: number): Promise<void> => test.pass(TENANT, seconds)
  const revoke = (match: Match, more: Partial<RevokeChange> = {}) =>
    test.rules.revoke(TENANT, { op: 'revoke', match, ...LIVES, ...more })
  const hold = (match: Match, reviewBy: number, outcome: HoldChange['outcome']) =>
    test.rules.hold(TENANT, { op: 'hold', match, reviewBy, outcome, ...LIVES })

  async function stored(match: Match): Promise<Rule | undefined> {
    return (await test.rules.get(TENANT, 0, [match])).rules[0]?.rule
  }

  /** What is left of the rules after the sweep says of a token that was issued then. */
  async function verdictOn(sub: string, iat: number): Promise<string> {
    await new UpkeepStore(test.store).pruneRules(TENANT, 0)
    const { rules } = await test.rules.get(TENANT, 0, [{ sub }])
    const table = new RuleTable({ packed: false })
    for (const rule of rules) {
      if (rule) table.put(0, { term: termOf(rule.epoch) ?? 0, seq: rule.seq }, rule.rule)
    }
    return table.verdict({ sub, iat }, {})?.code ?? 'active'
  }

  it('of a password change kill the sessions before it however late they come, and none after it', async () => {
    await families.keepRules(TENANT, LIFE)
    const { issuedBefore } = await revoke({ sub: 'alice' }, { reason: 'password-change' })
    const cut = Number(issuedBefore)
    // The newest session that it is to kill ends so long after it.
    for (const later of [0, TTL + 61, LIFE - TTL - 61]) {
      await pass(later)
      expect(await verdictOn('alice', cut)).to.equal('revoked')
      expect(await verdictOn('alice', cut + 1)).to.equal('active')
    }
    await pass(60)
    expect(await verdictOn('alice', cut)).to.equal('revoked')
    await pass(2)
    expect(await verdictOn('alice', cut)).to.equal('active')
  })

  it('live for the longer of the two lives after their cut-off, whichever way they are made', async () => {
    await families.keepRules(TENANT, LIFE)
    const start = await now()
    const until = start + LIFE + 60
    await revoke({ sub: 'a' })
    await revoke({ sid: 'b' })
    await revoke({ sub: 'c' }, { issuedBefore: start - 50 })
    await hold({ sub: 'd' }, start + 10, 'release')
    await hold({ sub: 'e' }, start + 10, 'revoke')
    await test.schedules.schedule(TENANT, start + 10, {
      op: 'revoke',
      match: { sub: 'f' },
      ...LIVES,
    })
    const force = { ttlSeconds: TTL, force: true }
    await test.rules.restore(TENANT, { op: 'restore', match: { sid: 'g' }, ...force })
    // Of what names a jti, or a kid, no session can be a token.
    await revoke({ jti: 'h' })
    await revoke({ kid: 'i' })
    await hold({ jti: 'j' }, start + 10, 'release')
    await pass(10)
    const due = new DueChanges({
      store: test.store,
      schedules: test.schedules,
      tenants: [TENANT],
      livesOf: () => Promise.resolve(LIVES),
      log: pino({ enabled: false }),
    })
    await due.runOnce(0)
    const least: readonly [Match, number | null][] = [
      [{ sub: 'a' }, until],
      [{ sid: 'b' }, until + TTL],
      [{ sub: 'c' }, until - 50],
      [{ sub: 'd' }, until + 10],
      [{ sub: 'e' }, until + 10],
      [{ sub: 'f' }, until + 10],
      [{ sid: 'g' }, until + TTL],
      [{ jti: 'h' }, start + TTL + 60],
      [{ kid: 'i' }, null],
      [{ jti: 'j' }, start + 10 + TTL + 60],
    ]
    for (const [match, expected] of least) {
      const found = (await stored(match))?.until
      // The store's second may have moved on since.
      if (expected === null) expect(found).to.equal(null)
      else expect(Number(found) - expected, JSON.stringify(match)).to.be.within(0, 2)
    }
    expect((await stored({ sid: 'b' }))?.cutoffs?.[0]?.issuedBefore).to.be.within(
      start,
      start + TTL + 2,
    )
  })

  it('keep the claim names of their matches admitted for as long', async () => {
    await families.keepRules(TENANT, LIFE)
    await revoke({ role: 'admin' })
    await pass(LIFE)
    await revoke({ sub: 'any' })
    expect(await test.rules.shapes(TENANT)).to.include('role')
  })

  it('are kept for the longer life until no session of it can be alive, then for the shorter', async () => {
    const kept = async (sub: string): Promise<number> => {
      const { until, issuedBefore } = await revoke({ sub })
      return Number(until) - Number(issuedBefore) - 60
    }
    expect(await kept('a')).to.equal(TTL)
    await families.keepRules(TENANT, LIFE)
    // Another process, with another setting.
    const other = new FamilyStore(test.store)
    await other.keepRules(TENANT, 600)
    expect(await kept('b')).to.equal(LIFE)
    await pass(LIFE)
    await new FamilyStore(test.store).keepRules(TENANT, 600)
    expect(await kept('c')).to.equal(LIFE)
    await pass(200)
    await new FamilyStore(test.store).keepRules(TENANT, 600)
    expect(await kept('d')).to.equal(600)
    // Issuing was turned off.
    await pass(800)
    expect(await kept('e')).to.equal(TTL)
  })

  it('are kept for sessions in every shard', async () => {
    const many = openTestStore({ shards: 3 })
    try {
      const other = new FamilyStore(many.store)
      await other.keepRules(TENANT, LIFE)
      const kept = Array.from({ length: 3 }, (_, shard) =>
        many.store.redis.hget(many.store.keys.shard(TENANT, shard).meta, 'family'),
      )
      expect(await Promise.all(kept)).to.deep.equal(Array(3).fill(`${LIFE}`))
    } finally {
      await many.close()
    }
  })
})
