import { expect } from 'chai'
import fc from 'fast-check'
import type { Claims, Match } from '../../../shared/domain/claims.ts'
import { carries } from '../../../shared/domain/claims.ts'
import {
  parseEntry,
  parseJson,
  positionOf,
  type RevocationEntry,
} from '../../../shared/domain/entry.ts'
import { RuleTable } from '../../../shared/domain/rule-table.ts'
import { shardOfMatch } from '../../../shared/domain/shard.ts'
import { isAsking } from '../../../shared/store/asking.ts'
import type { Committed, RevokeChange } from '../../../shared/store/changes.ts'
import type { StoredEntry } from '../../../shared/store/rule-commit.ts'
import { RuleStore } from '../../../shared/store/rule-store.ts'
import { codeOf } from '../../support/code-of.ts'
import { eventually } from '../../support/eventually.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'
import { deleteKeys } from '../../support/redis.ts'

const TENANT = 'default'
const TTL = 3600

function revokeOf(match: Match, more: Partial<RevokeChange> = {}): RevokeChange {
  return { op: 'revoke', match, ttlSeconds: TTL, skewSeconds: 0, ...more }
}

function entriesOf(test: TestStore): RevocationEntry[] {
  return test.entries.map(({ body }) => parseEntry(parseJson(body)) as RevocationEntry)
}

function tableOf(entries: readonly RevocationEntry[]): RuleTable {
  const table = new RuleTable()
  for (const entry of entries) {
    for (const rule of entry.events) table.put(entry.shard, positionOf(entry), rule)
  }
  return table
}

describe('the rules of the store', () => {
  let test: TestStore
  let now: number
  beforeEach(async () => {
    test = openTestStore()
    now = Math.floor((await test.store.now(TENANT)) / 1000)
  })
  afterEach(() => test.close())

  it('give each change of a match a place of its own, in one group as well, so that views take each in', async () => {
    const test = openTestStore()
    try {
      const match = { sub: 'twice' }
      // The first is written at once; the other two wait for it and make one group.
      await Promise.all([
        test.rules.revoke(TENANT, revokeOf({ sub: 'first' })),
        test.rules.revoke(TENANT, revokeOf(match, { except: { sid: 's-1' } })),
        test.rules.revoke(TENANT, revokeOf(match, { except: { sid: 's-2' } })),
        test.rules.revoke(TENANT, revokeOf(match)),
      ])
      const places = entriesOf(test).flatMap((entry) =>
        entry.events.flatMap((rule) => (rule.match['sub'] === 'twice' ? [entry.seq] : [])),
      )
      expect(places).to.have.length(3)
      expect(new Set(places).size).to.equal(3)
      const now = await test.now(TENANT)
      const claims = { sub: 'twice', sid: 's-1', iat: now - 10, exp: now + 60 }
      expect(tableOf(entriesOf(test)).verdict(claims, {})?.code).to.equal('revoked')
    } finally {
      await test.close()
    }
  })

  it('ask for acks where they may, and give that back where there is no entry to ask with', async () => {
    const entries: StoredEntry[] = []
    const calls: string[] = []
    const rules = new RuleStore(test.store, (committed) => entries.push(...committed), {
      mayAsk: () => calls.push('may') > 0,
      giveBack: () => void calls.push('back'),
    })
    const change = revokeOf({ jti: 'one' }, { issuedBefore: null })
    await rules.revoke(TENANT, change)
    // The same again adds nothing.
    await rules.revoke(TENANT, change)
    // A claim of this name asks nobody for anything.
    await rules.revoke(TENANT, revokeOf({ ack: true }))
    await rules.revoke(TENANT, revokeOf({ jti: 'two' }, { ack: true }))
    expect(entries.map(({ body }) => isAsking(body))).to.deep.equal([true, true, true])
    // Where somebody waits nothing need be asked for besides.
    expect(calls).to.deep.equal(['may', 'may', 'back', 'may'])
    expect(isAsking('{"v":1,"events":[{"match":{"ack":true}}]}')).to.equal(false)
  })

  it('kill exactly what a plain list of all revocations ever made says, whatever is restored', async () => {
    const exceptions = [undefined, { sid: 's-1' }, { client_id: 'web' }]
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          op: fc.constant('revoke' as const),
          back: fc.integer({ min: 0, max: 30 }),
          except: fc.constantFrom(...exceptions),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ op: fc.constant('restoreId' as const), pick: fc.nat() }),
      },
      { weight: 1, arbitrary: fc.constant({ op: 'restoreAll' as const }) },
    )
    const tokens: Claims[] = []
    for (const back of [0, 1, 5, 12, 29, 30, 31]) {
      for (const more of [
        {},
        { sid: 's-1' },
        { client_id: 'web' },
        { sid: 's-1', client_id: 'web' },
      ]) {
        tokens.push({ sub: 'alice', iat: now - back, exp: now + 100, ...more })
      }
    }
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
        run += 1
        const sub = `alice-${run}`
        const from = test.entries.length
        const list: {
          id: string
          issuedBefore: number
          except: Match | undefined
          lifted: boolean
        }[] = []
        for (const one of steps) {
          if (one.op === 'revoke') {
            const issuedBefore = now - one.back
            const extra = one.except === undefined ? {} : { except: one.except }
            const done = await test.rules.revoke(
              TENANT,
              revokeOf({ sub }, { issuedBefore, ...extra }),
            )
            const id = String(done.ids[0])
            if (!list.some((known) => known.id === id))
              list.push({ id, issuedBefore, except: one.except, lifted: false })
          } else if (one.op === 'restoreId' && list.length > 0) {
            const chosen = list[one.pick % list.length]
            if (chosen === undefined) continue
            await test.rules.restore(TENANT, {
              op: 'restore',
              id: chosen.id,
              shard: shardOfMatch({ sub }, 4),
            })
            chosen.lifted = true
          } else if (list.some(({ lifted }) => !lifted)) {
            await test.rules.restore(TENANT, { op: 'restore', match: { sub }, ttlSeconds: 3600 })
            for (const known of list) known.lifted = true
          }
        }
        const table = tableOf(entriesOf({ ...test, entries: test.entries.slice(from) }))
        for (const token of tokens) {
          const claims: Claims = { ...token, sub }
          const dead = list.some(
            ({ issuedBefore, except, lifted }) =>
              !lifted &&
              Number(claims['iat']) <= issuedBefore &&
              !(except && carries(except, claims)),
          )
          expect(
            table.verdict(claims, {})?.code === 'revoked',
            JSON.stringify({ list, claims }),
          ).to.equal(dead)
        }
        const stored = await test.rules.get(TENANT, shardOfMatch({ sub }, 4), [{ sub }])
        const last = entriesOf(test).at(-1)
        if (list.length > 0) expect(stored.rules[0]?.rule).to.deep.equal(last?.events.at(-1))
      }),
      { numRuns: 60 },
    )
  })

  it('keeps a revocation at 100 alive beside a later one with an exception, which one maximum could not', async () => {
    await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }, { issuedBefore: now - 100 }))
    await test.rules.revoke(
      TENANT,
      revokeOf({ sub: 'a' }, { issuedBefore: now - 50, except: { sid: 's' } }),
    )
    const table = tableOf(entriesOf(test))
    const dead = (iat: number): boolean =>
      table.verdict({ sub: 'a', sid: 's', iat }, {}) !== undefined
    expect([dead(now - 100), dead(now - 99), dead(now - 50)]).to.deep.equal([true, false, false])
  })

  it('brings back exactly what stood before when one mistaken revocation is restored', async () => {
    await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }, { issuedBefore: now - 100 }))
    const mistake = await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }))
    const before = tableOf(entriesOf(test))
    expect(before.verdict({ sub: 'a', iat: now - 1 }, {})?.code).to.equal('revoked')
    const undone = await test.rules.restore(TENANT, {
      op: 'restore',
      id: String(mistake.ids[0]),
      shard: mistake.shard,
    })
    expect(undone.ids).to.deep.equal(mistake.ids)
    const after = tableOf(entriesOf(test))
    expect(after.verdict({ sub: 'a', iat: now - 1 }, {})).to.equal(undefined)
    expect(after.verdict({ sub: 'a', iat: now - 100 }, {})?.code).to.equal('revoked')
  })

  it('folds the two oldest cut-offs with equal exceptions when a 17th comes, and restores them together', async () => {
    const done: Committed[] = []
    for (let i = 0; i < 17; i++) {
      done.push(
        await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }, { issuedBefore: now - 100 + i })),
      )
    }
    const shard = done[0]?.shard ?? 0
    const stored = (await test.rules.get(TENANT, shard, [{ sub: 'a' }])).rules[0]
    expect(stored?.cutoffs).to.have.length(16)
    const restored = await test.rules.restore(TENANT, {
      op: 'restore',
      id: String(done[0]?.ids[0]),
      shard,
    })
    expect(restored.ids).to.have.members([String(done[0]?.ids[0]), String(done[1]?.ids[0])])
  })

  it('refuses a 17th cut-off when no two have equal exceptions', async () => {
    for (let i = 0; i < 16; i++) {
      await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }, { except: { sid: `s${i}` } }))
    }
    const code = await codeOf(
      test.rules.revoke(TENANT, revokeOf({ sub: 'a' }, { except: { sid: 'one more' } })),
    )
    expect(code).to.equal('too_many_cutoffs')
    // Whoever is signed out everywhere else again and again can still be revoked as a whole.
    for (let i = 0; i < 5; i++) {
      await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }, { issuedBefore: now - 10 + i }))
    }
    const all = await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }))
    const table = tableOf(entriesOf(test))
    expect(table.verdict({ sub: 'a', sid: 's3', iat: now - 1 }, {})?.code).to.equal('revoked')
    expect(
      await codeOf(
        test.rules.restore(TENANT, { op: 'restore', id: String(all.ids[0]), shard: all.shard }),
      ),
    ).to.equal('nothing was thrown')
    const stored = (await test.rules.get(TENANT, all.shard, [{ sub: 'a' }])).rules[0]
    expect(stored?.cutoffs?.length).to.be.at.most(18)
  })

  it('can always be undone, however often that was done before', async () => {
    for (let i = 0; i < 850; i++) {
      const { ids, shard } = await test.rules.revoke(
        TENANT,
        revokeOf({ sub: 'a' }, { issuedBefore: now - 1000 + i }),
      )
      if (i % 2 === 0)
        await test.rules.restore(TENANT, { op: 'restore', id: String(ids[0]), shard })
    }
    await test.rules.restore(TENANT, { op: 'restore', match: { sub: 'a' }, ttlSeconds: 3600 })
    expect(tableOf(entriesOf(test)).verdict({ sub: 'a', iat: now - 2000 }, {})).to.equal(undefined)
  }).timeout(60_000)

  it('answers a repeated revocation with the first one, without another event', async () => {
    const all = await Promise.all(
      Array.from({ length: 300 }, () =>
        test.rules.revoke(TENANT, revokeOf({ sub: 'a' }, { issuedBefore: now - 5 })),
      ),
    )
    expect(new Set(all.map(({ ids }) => ids[0])).size).to.equal(1)
    expect(entriesOf(test).flatMap(({ events }) => events)).to.have.length(1)
  })

  it('gives a sequence without holes, and joins what comes at once into few entries', async () => {
    await Promise.all(
      Array.from({ length: 1200 }, (_, i) => test.rules.revoke(TENANT, revokeOf({ sub: `u${i}` }))),
    )
    const entries = entriesOf(test)
    const events = entries.flatMap((entry) => entry.events)
    expect(events).to.have.length(1200)
    expect(entries.length).to.be.lessThan(40)
    for (let shard = 0; shard < 4; shard++) {
      const seqs = entries.filter((entry) => entry.shard === shard).map(({ seq }) => seq)
      expect(seqs).to.deep.equal(Array.from({ length: seqs.length }, (_, i) => i + 1))
    }
    for (const { body } of test.entries) expect(Buffer.byteLength(body)).to.be.lessThan(65_536)
  })

  it('splits what is too large for one entry', async () => {
    const long = 'ö'.repeat(250)
    await Promise.all(
      Array.from({ length: 400 }, (_, i) =>
        test.rules.revoke(
          TENANT,
          revokeOf({ sub: `${i}${long}`, jti: 'one-shard' }, { except: { sid: long } }),
        ),
      ),
    )
    expect(entriesOf(test).flatMap(({ events }) => events)).to.have.length(400)
    for (const { body } of test.entries) expect(Buffer.byteLength(body)).to.be.lessThan(65_536)
  })

  const untils: [
    string,
    Match,
    Partial<RevokeChange>,
    (at: number) => [number | null, number | null],
  ][] = [
    [
      'a jti: any iat, until the longest life from now',
      { jti: 'a' },
      {},
      (at) => [null, at + TTL + 60],
    ],
    [
      'a verified jti: until its exp',
      { jti: 'a' },
      { verifiedExp: 5_000_000_000 },
      () => [null, 5_000_000_060],
    ],
    ['a kid: any iat, for ever', { kid: 'k' }, {}, () => [null, null]],
    [
      'a sid: whatever is minted for it meanwhile',
      { sid: 's' },
      {},
      (at) => [at + TTL, at + 2 * TTL + 60],
    ],
    ['a sub: now', { sub: 'a' }, {}, (at) => [at, at + TTL + 60]],
    [
      'a sub of an issuer whose clock is ahead',
      { sub: 'a' },
      { skewSeconds: 7 },
      (at) => [at + 7, at + 7 + TTL + 60],
    ],
    ['kid before sid', { kid: 'k', sid: 's' }, {}, () => [null, null]],
    ['sid before jti', { jti: 'a', sid: 's' }, {}, (at) => [at + TTL, at + 2 * TTL + 60]],
    [
      'an explicit cut-off',
      { sub: 'a' },
      { issuedBefore: 1_700_000_000 },
      () => [1_700_000_000, 1_700_003_660],
    ],
    ['the whole tenant', {}, {}, (at) => [at, at + TTL + 60]],
  ]
  for (const [title, match, more, expected] of untils) {
    it(`sets cut-off and until for ${title}`, async () => {
      const done = await test.rules.revoke(TENANT, revokeOf(match, more))
      const at = Math.floor(Number(entriesOf(test)[0]?.at) / 1000)
      expect([done.issuedBefore, done.until]).to.deep.equal(expected(at))
    })
  }

  it('refuses an issuedBefore past the default and takes the default itself', async () => {
    const at = Math.floor((await test.store.touch(TENANT, shardOfMatch({ sub: 'a' }, 4))).at / 1000)
    expect(
      await codeOf(test.rules.revoke(TENANT, revokeOf({ sub: 'a' }, { issuedBefore: at + 5 }))),
    ).to.equal('issued_before_in_future')
    expect(
      await codeOf(test.rules.revoke(TENANT, revokeOf({ sub: 'a' }, { issuedBefore: null }))),
    ).to.equal('issued_before_in_future')
    await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }, { issuedBefore: at }))
    await test.rules.revoke(TENANT, revokeOf({ jti: 'a' }, { issuedBefore: null }))
  })

  it('never lets until decrease in a merge', async () => {
    const first = await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }))
    const second = await test.rules.revoke(
      TENANT,
      revokeOf({ sub: 'a' }, { issuedBefore: now - 1000 }),
    )
    expect(second.until).to.equal(first.until)
  })

  it('splices claims as they came: long numbers, quotes, slashes and other scripts survive', async () => {
    const match = { sub: 'a"b\\c/d — Ω 🙂', n: 9007199254740991, flag: true }
    await test.rules.revoke(TENANT, revokeOf(match, { except: { sid: '"]}' } }))
    const rule = entriesOf(test)[0]?.events[0]
    expect({ ...rule?.match }).to.deep.equal(match)
    expect({ ...rule?.cutoffs?.[0]?.except }).to.deep.equal({ sid: '"]}' })
    await test.rules.revoke(TENANT, revokeOf(match))
    expect({ ...entriesOf(test)[1]?.events[0]?.match }).to.deep.equal(match)
  })

  it('leaves empty lists out of the wire', async () => {
    await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }))
    await test.rules.restore(TENANT, { op: 'restore', match: { sub: 'a' }, ttlSeconds: 3600 })
    const bodies = test.entries.map(({ body }) => body).join()
    expect(bodies).not.to.match(/\[\]|\{\}/)
  })

  it('keeps the reason of the cut-off that kills when a weaker one comes later', async () => {
    await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }, { reason: 'password-change' }))
    await test.rules.revoke(
      TENANT,
      revokeOf({ sub: 'a' }, { issuedBefore: now - 500, reason: 'logout' }),
    )
    const table = tableOf(entriesOf(test))
    expect(table.verdict({ sub: 'a', iat: now - 600 }, {})?.reason).to.equal('password-change')
    await test.rules.revoke(TENANT, revokeOf({ jti: 'j' }, { reason: 'logout' }))
    await test.rules.revoke(TENANT, revokeOf({ jti: 'j' }, { reason: 'breach', ttlSeconds: 9999 }))
    expect(tableOf(entriesOf(test)).verdict({ jti: 'j' }, {})?.reason).to.equal('breach')
  })

  it('restores by match, when forced to, also what this store has lost', async () => {
    await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }))
    const before = entriesOf(test)
    const { redis } = test.store
    // A term begins with a millisecond; one lost within that very millisecond would begin with it again.
    const shard = shardOfMatch({ sub: 'a' }, 4)
    const term = Number(before[0]?.epoch.split('.')[0])
    await eventually(async () => (await test.store.touch(TENANT, shard)).at > term)
    await deleteKeys(redis, `${test.store.keys.facts.split(':')[0]}:*`)
    const restore = { op: 'restore' as const, match: { sub: 'a' }, ttlSeconds: TTL }
    expect(await codeOf(test.rules.restore(TENANT, restore))).to.equal('unknown_revocation')
    await test.rules.restore(TENANT, { ...restore, force: true })
    const view = tableOf(entriesOf(test))
    expect(tableOf(before).verdict({ sub: 'a', iat: now - 9 }, {})?.code).to.equal('revoked')
    expect(view.verdict({ sub: 'a', iat: now - 9 }, {})).to.equal(undefined)
    await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }))
    expect(tableOf(entriesOf(test)).verdict({ sub: 'a', iat: now - 9 }, {})?.code).to.equal(
      'revoked',
    )
  })

  it('does not know what was never revoked, or only under another id', async () => {
    expect(
      await codeOf(
        test.rules.restore(TENANT, { op: 'restore', match: { sub: 'a' }, ttlSeconds: 3600 }),
      ),
    ).to.equal('unknown_revocation')
    expect(
      await codeOf(test.rules.restore(TENANT, { op: 'restore', id: 'r1-1-1-1', shard: 1 })),
    ).to.equal('unknown_revocation')
  })

  it('answers a restore that was made already, without another event', async () => {
    const done = await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }))
    const restore = { op: 'restore' as const, id: String(done.ids[0]), shard: done.shard }
    await test.rules.restore(TENANT, restore)
    expect((await test.rules.restore(TENANT, restore)).ids).to.deep.equal([])
    expect(test.entries).to.have.length(2)
  })

  it('admits nine uncommon sets of claim names beside the standing ones, and no tenth', async () => {
    for (let i = 0; i < 9; i++) await test.rules.revoke(TENANT, revokeOf({ [`c${i}`]: 1 }))
    expect(await codeOf(test.rules.revoke(TENANT, revokeOf({ c9: 1 })))).to.equal('too_many_shapes')
    for (const match of [{ jti: 'a' }, { kid: 'a' }, { sub: 'a', client_id: 'b' }, {}, { c0: 2 }]) {
      await test.rules.revoke(TENANT, revokeOf(match))
    }
  })

  it('gives one effect per idempotency key, and refuses another body under it', async () => {
    const idempotency = { key: 'k1', body: 'b1' }
    const first = await test.rules.revoke(
      TENANT,
      revokeOf({ sub: 'a' }, { issuedBefore: now - 9 }),
      { idempotency },
    )
    await test.rules.restore(TENANT, { op: 'restore', match: { sub: 'a' }, ttlSeconds: 3600 })
    const again = await test.rules.revoke(
      TENANT,
      revokeOf({ sub: 'a' }, { issuedBefore: now - 9 }),
      { idempotency },
    )
    expect(again).to.deep.equal(first)
    expect(test.entries).to.have.length(2)
    for (const sub of ['b', 'c', 'd', 'e']) {
      const work = test.rules.revoke(TENANT, revokeOf({ sub }), {
        idempotency: { key: 'k1', body: 'b2' },
      })
      expect(await codeOf(work)).to.equal('idempotency_conflict')
    }
  })
})
