import { expect } from 'chai'
import pino from 'pino'
import type { Match } from '../../../shared/domain/claims.ts'
import type { Rule } from '../../../shared/domain/rule.ts'
import { DueChanges } from '../../../shared/relay/due-changes.ts'
import type { HoldChange, RevokeChange } from '../../../shared/store/changes.ts'
import { countHits } from '../../../shared/store/hit-counter.ts'
import { codeOf } from '../../support/code-of.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'
import { keysOf } from '../../support/redis.ts'

const TENANT = 'default'
const TTL = 3600
const LIVES = { ttlSeconds: TTL, skewSeconds: 0 }

function revokeOf(match: Match, more: Partial<RevokeChange> = {}): RevokeChange {
  return { op: 'revoke', match, ...LIVES, ...more }
}

function holdOf(match: Match, reviewBy: number, more: Partial<HoldChange> = {}): HoldChange {
  return { op: 'hold', match, reviewBy, outcome: 'revoke', ...LIVES, ...more }
}

function dueOf({ store, schedules }: TestStore): DueChanges {
  const livesOf = () => Promise.resolve(LIVES)
  return new DueChanges({
    store,
    schedules,
    tenants: [TENANT],
    livesOf,
    log: pino({ enabled: false }),
  })
}

describe('schedules in the store', () => {
  let test: TestStore
  let due: DueChanges
  beforeEach(() => {
    test = openTestStore({ shards: 1 })
    due = dueOf(test)
  })
  afterEach(() => test.close())

  const now = (): Promise<number> => test.now(TENANT)
  const pass = (seconds: number): Promise<void> => test.pass(TENANT, seconds)

  async function stored(match: Match): Promise<Rule | undefined> {
    return (await test.rules.get(TENANT, 0, [match])).rules[0]?.rule
  }

  const late = [0, 1, 500, TTL + 500]
  for (const by of late) {
    it(`make, ${by} s late, what would have been made at their time`, async () => {
      const at = (await now()) + 10
      const changes: [RevokeChange, number | null, number | null][] = [
        [revokeOf({ sub: 'a' }), at, at + TTL + 60],
        [revokeOf({ sub: 'b' }, { issuedBefore: at - 50 }), at - 50, at - 50 + TTL + 60],
        [revokeOf({ sub: 'c' }, { except: { sid: 's"1' } }), at, at + TTL + 60],
        [revokeOf({ sid: 'd' }), at + TTL, at + 2 * TTL + 60],
        [revokeOf({ jti: 'e' }), null, at + TTL + 60],
        [revokeOf({ jti: 'f' }, { verifiedExp: at + 99 }), null, at + 99 + 60],
        [revokeOf({ kid: 'g' }), null, null],
      ]
      const ids: string[] = []
      for (const [change] of changes) {
        ids.push((await test.schedules.schedule(TENANT, at, change)).id)
      }
      await pass(9)
      expect((await due.runOnce(0)).schedules).to.equal(0)
      expect(test.entries).to.deep.equal([])
      await pass(1 + by)
      expect((await due.runOnce(0)).schedules).to.equal(changes.length)
      for (const [i, [{ match, except }, issuedBefore, until]] of changes.entries()) {
        const rule = await stored(match)
        const cutoff = rule?.cutoffs?.[0]
        expect([cutoff?.id, cutoff?.issuedBefore, rule?.until]).to.deep.equal([
          ids[i],
          issuedBefore,
          until,
        ])
        expect(cutoff?.except && { ...cutoff.except }).to.deep.equal(except)
      }
      expect((await test.schedules.list(TENANT, 100, undefined)).schedules).to.deep.equal([])
      const restored = await test.rules.restore(TENANT, {
        op: 'restore',
        id: String(ids[0]),
        shard: 0,
      })
      expect(restored.ids).to.deep.equal([ids[0]])
    })
  }

  it('hold at their time, and what was slept through leaves only its outcome', async () => {
    const at = await now()
    const { schedules } = test
    await schedules.schedule(TENANT, at + 10, holdOf({ sub: 'a' }, at + 500))
    await schedules.schedule(TENANT, at + 10, holdOf({ sub: 'b' }, at + 20))
    await schedules.schedule(TENANT, at + 10, holdOf({ sub: 'c' }, at + 20, { outcome: 'release' }))
    await pass(30)
    await due.runOnce(0)
    expect(await stored({ sub: 'a' })).to.include({ held: true, reviewBy: at + 500 })
    const slept = await stored({ sub: 'b' })
    expect([slept?.held, slept?.cutoffs?.[0]?.issuedBefore]).to.deep.equal([undefined, at + 20])
    expect(await stored({ sub: 'c' })).to.equal(undefined)
    await pass(470)
    await due.runOnce(0)
    expect((await stored({ sub: 'a' }))?.cutoffs?.[0]?.issuedBefore).to.equal(at + 500)
  })

  it('that are refused stay, say why, and are tried again a minute later', async () => {
    const at = (await now()) + 10
    for (let i = 0; i < 16; i++) {
      await test.rules.revoke(TENANT, revokeOf({ sub: 'a' }, { except: { sid: `s${i}` } }))
    }
    const one = revokeOf({ sub: 'a' }, { except: { sid: 'one more' } })
    const { id } = await test.schedules.schedule(TENANT, at, one)
    for (const wait of [10, 60]) {
      await pass(wait)
      expect(await due.runOnce(0)).to.include({ schedules: 0, refused: 1 })
      const { schedules } = await test.schedules.list(TENANT, 100, undefined)
      expect(schedules).to.have.length(1)
      expect(schedules[0]).to.include({ id, at, problem: 'too_many_cutoffs' })
    }
    await test.rules.restore(TENANT, { op: 'restore', match: { sub: 'a' }, ttlSeconds: TTL })
    await pass(60)
    expect(await due.runOnce(0)).to.include({ schedules: 1, refused: 0 })
    expect((await stored({ sub: 'a' }))?.cutoffs?.[0]?.issuedBefore).to.equal(at)
  })

  it('are refused at once where they could not be made', async () => {
    const at = (await now()) + 10
    const past = revokeOf({ sub: 'a' }, { issuedBefore: at + 1 })
    expect(await codeOf(test.schedules.schedule(TENANT, at, past))).to.equal(
      'issued_before_in_future',
    )
    await test.schedules.schedule(TENANT, at, revokeOf({ sub: 'a' }, { issuedBefore: at }))
  })

  it('are at most 10,000 in a shard', async () => {
    const at = (await now()) + 10
    const { schedules, scheduled } = test.store.keys.shard(TENANT, 0)
    const fields = Array.from({ length: 9999 }, (_, i) => [`x${i}`, '{}']).flat()
    await test.store.redis.hset(schedules, ...fields)
    const kept = await test.schedules.schedule(TENANT, at, revokeOf({ sub: 'a' }))
    const more = test.schedules.schedule(TENANT, at, revokeOf({ sub: 'b' }))
    expect(await codeOf(more)).to.equal('too_many_schedules')
    await test.schedules.cancel(TENANT, kept.id)
    await test.schedules.schedule(TENANT, at, revokeOf({ sub: 'b' }))
    expect(await test.store.redis.zcard(scheduled)).to.equal(1)
  })

  it('have one effect per idempotency key', async () => {
    const at = (await now()) + 10
    const key = { idempotency: { key: 'k1', body: 'b1' } }
    const first = await test.schedules.schedule(TENANT, at, revokeOf({ sub: 'a' }), key)
    const again = await test.schedules.schedule(TENANT, at, revokeOf({ sub: 'a' }), key)
    expect(again).to.deep.equal(first)
    expect((await test.schedules.list(TENANT, 10, undefined)).schedules).to.have.length(1)
  })

  it('wait through a restart of the store, which begins another term', async () => {
    const at = (await now()) + 10
    await test.schedules.schedule(TENANT, at, revokeOf({ sub: 'a' }))
    await test.rules.hold(TENANT, holdOf({ sub: 'b' }, at))
    const { meta } = test.store.keys.shard(TENANT, 0)
    await test.store.redis.hset(meta, 'run', 'another')
    await pass(10)
    expect(await due.runOnce(0)).to.include({ schedules: 1, holds: 1 })
    expect((await stored({ sub: 'b' }))?.cutoffs).to.have.length(1)
  })
})

describe('the list of schedules', () => {
  let test: TestStore
  beforeEach(() => {
    test = openTestStore()
  })
  afterEach(() => test.close())

  it('gives each once, soonest first, in pages of any size, over all shards', async () => {
    const at = Math.floor((await test.store.now(TENANT)) / 1000) + 1000
    const made: string[] = []
    for (let i = 0; i < 40; i++) {
      const when = at + (i % 3)
      const { id } = await test.schedules.schedule(TENANT, when, revokeOf({ sub: `u${i}` }))
      made.push(id)
    }
    for (const limit of [1, 7, 39, 40, 41]) {
      const ids: string[] = []
      const times: number[] = []
      let after: { at: number; id: string } | undefined
      do {
        const page = await test.schedules.list(TENANT, limit, after)
        ids.push(...page.schedules.map(({ id }) => id))
        times.push(...page.schedules.map((each) => each.at))
        after = page.next
      } while (after !== undefined)
      expect(ids).to.have.members(made)
      expect(times).to.deep.equal(times.toSorted((a, b) => a - b))
    }
  })
})

describe('a dry run', () => {
  let test: TestStore
  beforeEach(() => {
    test = openTestStore()
  })
  afterEach(() => test.close())

  /** Everything in the store but the shards' clocks and epochs. */
  async function contents(): Promise<Record<string, unknown>> {
    const { redis, keys } = test.store
    const all: Record<string, unknown> = {}
    for (const key of await keysOf(redis, `${keys.facts.split(':')[0]}:*`)) {
      // The answers of commits go after a minute, and this must not be why two dumps differ.
      if (/:c:[0-9a-f-]{36}$/.test(key)) continue
      if (key.endsWith(':meta')) {
        const { now: _, ...rest } = await redis.hgetall(key)
        all[key] = rest
      } else all[key] = (await redis.dumpBuffer(key))?.toString('base64')
    }
    return all
  }

  it('says what each change does, and writes nothing', async () => {
    const at = Math.floor((await test.store.now(TENANT)) / 1000)
    const { rules, schedules } = test
    for (let shard = 0; shard < 4; shard++) await test.store.touch(TENANT, shard)
    await rules.revoke(TENANT, revokeOf({ sub: 'a' }, { issuedBefore: at - 9 }))
    const held = await rules.hold(TENANT, holdOf({ sub: 'a' }, at + 100))
    const before = await contents()
    const entries = test.entries.length
    const more = await rules.preview(TENANT, revokeOf({ sub: 'a' }, { issuedBefore: at - 1 }))
    expect(more.current?.cutoffs?.map(({ issuedBefore }) => issuedBefore)).to.deep.equal([at - 9])
    expect(more.rule?.cutoffs).to.deep.equal([{ id: 'dry-run', issuedBefore: at - 1 }])
    const fresh = await rules.preview(TENANT, revokeOf({ dept: 7 }))
    expect([fresh.current, fresh.rule?.cutoffs?.length]).to.deep.equal([null, 1])
    const hold = await rules.preview(TENANT, holdOf({ sub: 'a' }, at + 200))
    expect(hold.rule).to.include({ held: true, holdId: held.ids[0], reviewBy: at + 200 })
    const later = await schedules.preview(TENANT, at + 50, revokeOf({ sub: 'a' }))
    expect(later.rule?.cutoffs?.[0]?.issuedBefore).to.equal(at + 50)
    const released = await rules.preview(TENANT, {
      op: 'release',
      match: { sub: 'a' },
      ttlSeconds: TTL,
    })
    expect(released.lifted).to.deep.equal(held.ids)
    expect(released.rule?.held).to.equal(undefined)
    const restored = await rules.preview(TENANT, {
      op: 'restore',
      id: String(held.ids[0]),
      shard: held.shard,
    })
    expect(restored.lifted).to.deep.equal(held.ids)
    expect({ ...restored.match }).to.deep.equal({ sub: 'a' })
    const nothing = await rules.preview(TENANT, revokeOf({ sub: 'a' }, { issuedBefore: at - 9 }))
    expect(nothing.rule).to.deep.equal(nothing.current)
    expect(await contents()).to.deep.equal(before)
    expect(test.entries).to.have.length(entries)
  })

  it('refuses what the change itself would', async () => {
    const at = Math.floor((await test.store.now(TENANT)) / 1000)
    const { rules, schedules } = test
    const future = revokeOf({ sub: 'a' }, { issuedBefore: at + 99 })
    expect(await codeOf(rules.preview(TENANT, future))).to.equal('issued_before_in_future')
    expect(await codeOf(rules.preview(TENANT, holdOf({ sub: 'a' }, at - 1)))).to.equal(
      'time_out_of_range',
    )
    const past = schedules.preview(TENANT, at - 1, revokeOf({ sub: 'a' }))
    expect(await codeOf(past)).to.equal('time_out_of_range')
    const unknown = rules.preview(TENANT, { op: 'release', match: { sub: 'a' }, ttlSeconds: TTL })
    expect(await codeOf(unknown)).to.equal('unknown_revocation')
    for (let i = 0; i < 9; i++) await rules.revoke(TENANT, revokeOf({ [`c${i}`]: 1 }))
    expect(await codeOf(rules.preview(TENANT, revokeOf({ c9: 1 })))).to.equal('too_many_shapes')
    await rules.preview(TENANT, revokeOf({ c8: 2 }))
  })

  describe('counts the registered tokens', () => {
    let exp: number
    beforeEach(async () => {
      exp = Math.floor((await test.store.now(TENANT)) / 1000) + 1000
      const jobs: Promise<void>[] = []
      for (let i = 0; i < 3000; i++) {
        const token = { jti: `j"${i}`, exp: exp + (i % 7), sub: i % 3 === 0 ? 'a"b' : 'c' }
        jobs.push(test.tokens.register(TENANT, { ...token, sid: `s${i % 10}`, client_id: 'web' }))
      }
      await Promise.all(jobs)
    })

    const rows: [string, Match, Match | undefined, number | null][] = [
      ['of the whole tenant', {}, undefined, 3000],
      ['of the whole tenant but one session', {}, { sid: 's0' }, 2700],
      ['of a user', { sub: 'a"b' }, undefined, 1000],
      ['of a user but one session', { sub: 'a"b' }, { sid: 's0' }, 900],
      ['of a session and client', { sid: 's1', client_id: 'web' }, undefined, 300],
      ['of a jti', { jti: 'j"5' }, undefined, 1],
      ['of a jti with another user', { jti: 'j"5', sub: 'a"b' }, undefined, 0],
      ['of nobody', { sub: 'nobody' }, undefined, 0],
      ['with a value that no text equals', { sub: 5 }, undefined, 0],
      ['with claims that the wheel does not know', { aud: 'api' }, undefined, null],
    ]
    for (const [title, match, except, tokens] of rows) {
      it(title, async () => {
        const hits = await countHits(test.store, TENANT, { match, except })
        expect(hits ?? null).to.deep.equal(tokens === null ? null : { tokens, complete: true })
      })
    }

    it('at most, where the exception is not known', async () => {
      const hits = await countHits(test.store, TENANT, { match: {}, except: { aud: 'x' } })
      expect(hits).to.deep.equal({ tokens: 3000, complete: true, atMost: true })
    })

    it('that live on past a time', async () => {
      const hits = await countHits(test.store, TENANT, { match: {}, aliveAfter: exp + 5 })
      expect(hits?.tokens).to.equal(Math.floor(3000 / 7))
    })

    it('that lie at an earlier announcement, by the jti and exp of their field', async () => {
      const { redis } = test.store
      for (let shard = 0; shard < 4; shard++) {
        const keys = test.store.keys.shard(TENANT, shard)
        await redis.hset(keys.second(exp - 60), `early\n${exp}`, 'zoe\n\n')
        await redis.zadd(keys.wheel, exp - 60, exp - 60)
        await redis.hset(keys.meta, 'leads', `30=1,60=${exp - 60}`)
      }
      const count = async (match: Match, aliveAfter?: number) =>
        (await countHits(test.store, TENANT, { match, aliveAfter }))?.tokens
      expect(await count({ jti: 'early' })).to.equal(1)
      expect(await count({ sub: 'zoe' })).to.equal(4)
      expect(await count({ sub: 'zoe' }, exp - 1)).to.equal(4)
      expect(await count({ sub: 'zoe' }, exp)).to.equal(0)
    })
  })
})
