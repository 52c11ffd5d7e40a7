import { expect } from 'chai'
import { parseEntry, parseJson, type ExpiryEntry } from '../../../shared/domain/entry.ts'
import { isKnellError } from '../../../shared/domain/errors.ts'
import { shardOfJti } from '../../../shared/domain/shard.ts'
import type { StoredEntry } from '../../../shared/store/rule-commit.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'

const TENANT = 'default'

function eventsOf(entries: readonly StoredEntry[]): ExpiryEntry['events'] {
  return entries.flatMap(({ body }) => (parseEntry(parseJson(body)) as ExpiryEntry).events)
}

describe('the wheel', () => {
  let test: TestStore
  beforeEach(() => {
    test = openTestStore({ shards: 1 })
  })
  afterEach(() => test.close())

  const storeSecond = (): Promise<number> => test.now(TENANT)

  /** Moves the store's clock on: a script's now is at least what the shard last recorded. */
  async function until(second: number): Promise<void> {
    await test.store.redis.hset(test.store.keys.shard(TENANT, 0).meta, 'now', second * 1000)
  }

  /** Drains a second to its end with one drainer. */
  async function drainAll(second: number, batch?: number): Promise<StoredEntry[]> {
    const entries: StoredEntry[] = []
    let cursor = '0'
    for (;;) {
      const result = await test.tokens.drain(TENANT, 0, second, cursor, 1_000_000, batch)
      entries.push(...result.entries)
      cursor = result.cursor
      if (result.word !== 'ok' || result.left === 0) return entries
    }
  }

  for (const count of [1, 499, 500, 501, 4000]) {
    it(`announces each of ${count} tokens of one second once, at most 500 to an entry`, async () => {
      const exp = (await storeSecond()) + 60
      const ids = Array.from({ length: count }, (_, i) => `jti-${i}`)
      await Promise.all(ids.map((jti) => test.tokens.register(TENANT, { jti, exp, sub: 'a' })))
      await until(exp)
      const entries = await drainAll(exp)
      const events = eventsOf(entries)
      expect(events.map(({ jti }) => jti).sort()).to.deep.equal([...ids].sort())
      for (const { body } of entries) {
        expect((JSON.parse(body) as { events: unknown[] }).events.length).to.be.at.most(500)
        expect(Buffer.byteLength(body)).to.be.lessThan(65_536)
      }
      expect((await test.tokens.due(TENANT, 0, 0)).seconds).to.deep.equal([])
    })
  }

  it('drains so few at a time that whoever else asks the store waits for little', async () => {
    const exp = (await storeSecond()) + 60
    const ids = Array.from({ length: 3000 }, (_, i) => `jti-${i}`)
    await Promise.all(ids.map((jti) => test.tokens.register(TENANT, { jti, exp })))
    await until(exp)
    const one = await test.tokens.drain(TENANT, 0, exp, '0', 1_000_000)
    expect(one.announced).to.be.within(1, 500)
    expect(one.announced + one.left).to.equal(3000)
  })

  it('announces nothing before its second and everything of it afterwards', async () => {
    const exp = (await storeSecond()) + 60
    await test.tokens.register(TENANT, { jti: 'a', exp })
    const early = await test.tokens.drain(TENANT, 0, exp, '0', 100)
    expect([early.word, early.entries.length]).to.deep.equal(['early', 0])
    expect((await test.tokens.due(TENANT, 0, 0)).seconds).to.deep.equal([])
    await until(exp)
    expect(eventsOf(await drainAll(exp))).to.deep.equal([{ jti: 'a', exp }])
  })

  it('announces once what was registered many times', async () => {
    const exp = (await storeSecond()) + 60
    for (let i = 0; i < 3; i++) await test.tokens.register(TENANT, { jti: 'a', exp, sub: 'x' })
    await until(exp)
    expect(eventsOf(await drainAll(exp))).to.have.length(1)
  })

  it('rounds a fractional exp up to the second at which the token is dead', async () => {
    const exp = (await storeSecond()) + 60
    await test.tokens.register(TENANT, { jti: 'a', exp: exp - 0.5 })
    await until(exp)
    expect(eventsOf(await drainAll(exp))).to.deep.equal([{ jti: 'a', exp }])
  })

  it('refuses a token whose exp is at or before the store’s now, alone and in a group', async () => {
    const now = await storeSecond()
    const register = async (exp: number): Promise<string> => {
      try {
        await test.tokens.register(TENANT, { jti: `j${exp}`, exp })
        return 'kept'
      } catch (error) {
        return isKnellError(error) ? error.code : String(error)
      }
    }
    const codes = await Promise.all([register(now - 1), register(now), register(now + 100)])
    expect(codes).to.deep.equal(['token_expired', 'token_expired', 'kept'])
  })

  it('finishes a second although its cursors were void: two drainers, one of which always starts at 0', async () => {
    const exp = (await storeSecond()) + 60
    const ids = Array.from({ length: 3000 }, (_, i) => `jti-${i}`)
    await Promise.all(ids.map((jti) => test.tokens.register(TENANT, { jti, exp })))
    await until(exp)
    const found: StoredEntry[] = []
    let cursor = '0'
    for (let left = 1; left > 0;) {
      const one = await test.tokens.drain(TENANT, 0, exp, cursor, 1000, 100)
      const other = await test.tokens.drain(TENANT, 0, exp, '0', 1000, 50)
      found.push(...one.entries, ...other.entries)
      cursor = one.cursor
      left = other.left
    }
    expect(
      eventsOf(found)
        .map(({ jti }) => jti)
        .sort(),
    ).to.deep.equal([...ids].sort())
  })

  it('carries claims as they came and leaves absent ones out', async () => {
    const exp = (await storeSecond()) + 60
    const odd = { jti: 'a"b\\n', sub: 'Ω "x"\\', client_id: '🙂' }
    await test.tokens.register(TENANT, { ...odd, exp })
    await until(exp)
    expect(eventsOf(await drainAll(exp))).to.deep.equal([{ ...odd, exp }])
  })

  it('passes over a jti that is revoked at that moment, and announces one that was restored', async () => {
    const exp = (await storeSecond()) + 60
    const revoke = { op: 'revoke' as const, ttlSeconds: 3600, skewSeconds: 0 }
    for (const jti of ['gone', 'back', 'never']) await test.tokens.register(TENANT, { jti, exp })
    await test.rules.revoke(TENANT, { ...revoke, match: { jti: 'gone' } })
    await test.rules.revoke(TENANT, { ...revoke, match: { jti: 'back' } })
    await test.rules.restore(TENANT, { op: 'restore', match: { jti: 'back' }, ttlSeconds: 3600 })
    await until(exp)
    const events = eventsOf(await drainAll(exp))
    expect(events.map(({ jti }) => jti).sort()).to.deep.equal(['back', 'never'])
  })

  it('waits while too many entries are unsent: the wheel is the buffer', async () => {
    const exp = (await storeSecond()) + 60
    await Promise.all(
      Array.from({ length: 1500 }, (_, i) => test.tokens.register(TENANT, { jti: `j${i}`, exp })),
    )
    await until(exp)
    await test.tokens.drain(TENANT, 0, exp, '0', 1, 500)
    const paused = await test.tokens.drain(TENANT, 0, exp, '0', 1, 500)
    expect([paused.word, paused.entries.length]).to.deep.equal(['paused', 0])
    expect(paused.left).to.be.greaterThan(0)
  })

  it('keeps tokens of other shards apart', async () => {
    const four = openTestStore({ shards: 4 })
    try {
      const exp = (await storeSecond()) + 100
      const ids = Array.from({ length: 200 }, (_, i) => `j${i}`)
      await Promise.all(ids.map((jti) => four.tokens.register(TENANT, { jti, exp })))
      for (const jti of ids) {
        const key = four.store.keys.shard(TENANT, shardOfJti(jti, 4)).second(exp)
        expect(await four.store.redis.hexists(key, jti)).to.equal(1)
      }
    } finally {
      await four.close()
    }
  })
})
