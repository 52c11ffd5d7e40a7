import { expect } from 'chai'
import fc from 'fast-check'
import type { Match } from '../../../shared/domain/claims.ts'
import { parseEntry, parseJson, type ExpiryEntry } from '../../../shared/domain/entry.ts'
import { isKnellError } from '../../../shared/domain/errors.ts'
import type { StoredEntry } from '../../../shared/store/rule-commit.ts'
import { countHits } from '../../../shared/store/hit-counter.ts'
import { TokenStore } from '../../../shared/store/token-store.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'
import { readWheel, WheelModel, type Announced, type Lying } from '../../support/wheel-model.ts'

/** A notifier or poller with settings of its own. */
interface Process {
  leadSeconds: readonly number[]
  maxTokens: number
  readonly tokens: TokenStore
  readonly cursors: Map<number, string>
}

function announcedIn(entries: readonly StoredEntry[]): Announced[] {
  return entries.flatMap(({ body }) => {
    const { kind, events } = parseEntry(parseJson(body)) as ExpiryEntry
    return events.map(({ jti, exp, inSeconds }) => ({
      kind,
      jti,
      exp,
      ...(inSeconds !== undefined && { inSeconds }),
    }))
  })
}

const textsOf = (list: readonly object[]): string[] => list.map((one) => JSON.stringify(one)).sort()
const lyingTexts = (list: readonly Lying[]): string[] =>
  textsOf(list.map(({ jti, exp, second }) => ({ jti, exp, second })))

async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'kept'
  } catch (error) {
    return isKnellError(error) ? error.code : String(error)
  }
}

describe('lead times on the wheel', function () {
  this.timeout(120_000)
  let test: TestStore
  let runs = 0
  beforeEach(() => {
    test = openTestStore({ shards: 1 })
  })
  afterEach(() => test.close())

  function processOf(leadSeconds: readonly number[] = [], maxTokens = Infinity): Process {
    const process: Process = {
      leadSeconds,
      maxTokens,
      tokens: new TokenStore(test.store, () => process),
      cursors: new Map(),
    }
    return process
  }

  /** A tenant of its own whose clock stands well ahead of the real one, so that it moves only when told. */
  async function openTenant(): Promise<{ tenant: string; base: number }> {
    runs += 1
    const tenant = `t${runs}`
    const base = Math.floor((await test.store.touch(tenant, 0)).at / 1000) + 10_000
    await setNow(tenant, base * 1000)
    return { tenant, base }
  }

  async function setNow(tenant: string, ms: number): Promise<void> {
    await test.store.redis.hset(test.store.keys.shard(tenant, 0).meta, 'now', ms)
  }

  const lyingAt = async (tenant: string): Promise<number[]> =>
    (await readWheel(test.store, tenant)).map(({ second }) => second)

  it('put a token at the nearest one that is still ahead, to the second', async () => {
    const { tenant, base } = await openTenant()
    const { tokens } = processOf([60, 300])
    const places: [life: number, at: number][] = [
      [1, 1],
      [59, 59],
      [60, 60],
      [61, 1],
      [299, 239],
      [300, 240],
      [301, 1],
    ]
    for (const [life, at] of places) {
      await tokens.register(tenant, { jti: `j${life}`, exp: base + life })
      const found = (await readWheel(test.store, tenant)).find(({ jti }) => jti === `j${life}`)
      expect(found?.second, `a life of ${life} s`).to.equal(base + at)
    }
    await setNow(tenant, base * 1000 + 999)
    await tokens.register(tenant, { jti: 'late', exp: base + 61 })
    await setNow(tenant, base * 1000 + 1000)
    await tokens.register(tenant, { jti: 'later', exp: base + 61 })
    const lying = await readWheel(test.store, tenant)
    const secondOf = (name: string): number | undefined =>
      lying.find(({ jti }) => jti === name)?.second
    expect([secondOf('late'), secondOf('later')]).to.deep.equal([base + 1, base + 61])
  })

  it('tell of a token with its claims, in entries of one kind and at most 500 events', async () => {
    const { tenant, base } = await openTenant()
    const { tokens } = processOf([60])
    const odd = { jti: 'a"b\\n', sub: 'Ω "x"\\', client_id: '🙂' }
    await tokens.register(tenant, { ...odd, exp: base + 100 })
    const ids = Array.from({ length: 1200 }, (_, i) => `j${i}`)
    await Promise.all([
      ...ids.map((jti) => tokens.register(tenant, { jti, exp: base + 100, sid: 's' })),
      ...ids.map((jti) => tokens.register(tenant, { jti, exp: base + 40 })),
    ])
    await setNow(tenant, (base + 40) * 1000)
    const entries: StoredEntry[] = []
    for (let cursor = '0', left = 1; left > 0;) {
      const result = await tokens.drain(tenant, 0, base + 40, cursor, 1e6)
      entries.push(...result.entries)
      cursor = result.cursor
      left = result.left
    }
    const parsed = entries.map(({ body }) => parseEntry(parseJson(body)) as ExpiryEntry)
    expect(parsed.map(({ seq }) => seq)).to.deep.equal(parsed.map((_, i) => i + 1))
    for (const { body } of entries) expect(Buffer.byteLength(body)).to.be.lessThan(65_536)
    for (const { events } of parsed) expect(events.length).to.be.at.most(500)
    const eventsOf = (wanted: string): ExpiryEntry['events'] =>
      parsed.flatMap(({ kind, events }) => (kind === wanted ? events : []))
    const found = eventsOf('expiring').find(({ jti }) => jti === odd.jti)
    expect(found).to.deep.equal({ ...odd, exp: base + 100, inSeconds: 60 })
    expect(eventsOf('expiring').map(({ jti }) => jti)).to.have.members([odd.jti, ...ids])
    expect(eventsOf('expired').map(({ jti }) => jti)).to.have.members(ids)
    expect(new Set(eventsOf('expired').map(({ exp }) => exp))).to.deep.equal(new Set([base + 40]))
  })

  it('let a token be found by its jti and exp wherever it lies, until its expiry is told', async () => {
    const { tenant, base } = await openTenant()
    const { tokens } = processOf([10, 60])
    const isThere = (jti: string, exp: number): Promise<boolean> =>
      processOf().tokens.isRegistered(tenant, jti, exp)
    const odd = 'a"b\\n\u{1f642}'
    await tokens.register(tenant, { jti: odd, exp: base + 100 })
    await processOf().tokens.register(tenant, { jti: 'plain', exp: base + 100 })
    for (const second of [base, base + 40, base + 90]) {
      await setNow(tenant, second * 1000)
      await tokens.drain(tenant, 0, second, '0', 1e6)
      expect(await isThere(odd, base + 100), `at ${second - base}`).to.equal(true)
      expect(await isThere(odd, base + 99.5), 'of a fraction').to.equal(true)
      expect(await isThere('plain', base + 100)).to.equal(true)
      const others: [string, number][] = [
        [odd, base + 101],
        [odd, base + 99],
        [odd, second],
        ['other', base + 100],
        [`${odd}\n${base + 100}`, second],
      ]
      for (const [jti, exp] of others) expect(await isThere(jti, exp)).to.equal(false)
    }
    await setNow(tenant, (base + 100) * 1000)
    await tokens.drain(tenant, 0, base + 100, '0', 1e6)
    expect(await isThere(odd, base + 100)).to.equal(false)
  })

  it('are passed over for a revoked jti, whose expiry is told all the same once it is restored', async () => {
    const { tenant, base } = await openTenant()
    const { tokens } = processOf([10])
    await tokens.register(tenant, { jti: 'a', exp: base + 20 })
    const match = { jti: 'a' }
    await test.store.touch(tenant, 0)
    await test.rules.revoke(tenant, { op: 'revoke', match, ttlSeconds: 3600, skewSeconds: 0 })
    await setNow(tenant, (base + 10) * 1000)
    const quiet = await tokens.drain(tenant, 0, base + 10, '0', 100)
    expect([quiet.expiring, quiet.entries.length, quiet.left]).to.deep.equal([0, 0, 0])
    await test.store.touch(tenant, 0)
    await test.rules.restore(tenant, { op: 'restore', match, ttlSeconds: 3600 })
    await setNow(tenant, (base + 20) * 1000)
    const told = await tokens.drain(tenant, 0, base + 20, '0', 100)
    expect(announcedIn(told.entries)).to.deep.equal([{ kind: 'expired', jti: 'a', exp: base + 20 }])
  })

  it('are passed over for a jti that is held, and hide no token from a count of what a change would hit', async () => {
    const { tenant, base } = await openTenant()
    const { tokens } = processOf([10, 60])
    await tokens.register(tenant, { jti: 'a', exp: base + 20, sub: 'x' })
    await tokens.register(tenant, { jti: 'a', exp: base + 90, sub: 'x' })
    await tokens.register(tenant, { jti: 'b', exp: base + 5, sub: 'x' })
    const hits = async (match: Match): Promise<number | undefined> =>
      (await countHits(test.store, tenant, { match }))?.tokens
    expect([await hits({ jti: 'a' }), await hits({ sub: 'x' }), await hits({})]).to.deep.equal([
      2, 3, 3,
    ])
    await test.store.touch(tenant, 0)
    await test.rules.hold(tenant, {
      op: 'hold',
      match: { jti: 'a' },
      reviewBy: base + 50,
      outcome: 'release',
      ttlSeconds: 3600,
      skewSeconds: 0,
    })
    await setNow(tenant, (base + 10) * 1000)
    const held = await tokens.drain(tenant, 0, base + 10, '0', 100)
    expect([held.expiring, held.entries.length, held.left]).to.deep.equal([0, 0, 0])
    expect(await hits({ jti: 'a' })).to.equal(2)
    // A hold may be lifted, but the exp has come all the same.
    await setNow(tenant, (base + 20) * 1000)
    const ended = await tokens.drain(tenant, 0, base + 20, '0', 100)
    expect([ended.announced, ended.revoked]).to.deep.equal([1, 0])
  })

  it('know a token again that a process with other lead times has moved on', async () => {
    const { tenant, base } = await openTenant()
    const [old, young] = [processOf([10]), processOf([5, 10])]
    const token = { jti: 'a', exp: base + 20 }
    await old.tokens.register(tenant, token)
    await setNow(tenant, (base + 10) * 1000)
    await young.tokens.drain(tenant, 0, base + 10, '0', 100)
    expect(await lyingAt(tenant)).to.deep.equal([base + 15])
    await old.tokens.register(tenant, token)
    await processOf().tokens.register(tenant, token)
    expect(await lyingAt(tenant)).to.deep.equal([base + 15])
    await setNow(tenant, (base + 15) * 1000)
    const { entries } = await processOf().tokens.drain(tenant, 0, base + 15, '0', 100)
    expect(announcedIn(entries)).to.deep.equal([
      { kind: 'expiring', jti: 'a', exp: base + 20, inSeconds: 5 },
    ])
    expect(await lyingAt(tenant)).to.deep.equal([base + 20])
  })

  it('are forgotten once they are no longer set and no token can lie at them', async () => {
    const { tenant, base } = await openTenant()
    const { meta } = test.store.keys.shard(tenant, 0)
    const leads = (): Promise<string | null> => test.store.redis.hget(meta, 'leads')
    const process = processOf([60])
    await process.tokens.register(tenant, { jti: 'a', exp: base + 100 })
    expect(await leads()).to.equal(`60=${base + 40}`)
    process.leadSeconds = []
    await process.tokens.register(tenant, { jti: 'b', exp: base + 100 })
    expect(await leads(), 'while a token lies there').to.equal(`60=${base + 40}`)
    await setNow(tenant, (base + 40) * 1000)
    await process.tokens.drain(tenant, 0, base + 40, '0', 100)
    await process.tokens.register(tenant, { jti: 'c', exp: base + 100 })
    expect(await leads()).to.equal('')
    expect(await lyingAt(tenant)).to.deep.equal([base + 100, base + 100, base + 100])
  })

  it('find tokens even where meta no longer names their lead times', async () => {
    const { tenant, base } = await openTenant()
    await processOf([7]).tokens.register(tenant, { jti: 'a', exp: base + 20 })
    await test.store.redis.hdel(test.store.keys.shard(tenant, 0).meta, 'leads')
    await setNow(tenant, (base + 13) * 1000)
    const { entries } = await processOf([3]).tokens.drain(tenant, 0, base + 13, '0', 100)
    expect(announcedIn(entries)).to.deep.equal([
      { kind: 'expiring', jti: 'a', exp: base + 20, inSeconds: 7 },
    ])
    expect(await lyingAt(tenant)).to.deep.equal([base + 17])
  })

  it('announce what a plain list of tokens says, whoever registers, drains late, twice or in part, and whatever changes meanwhile', async () => {
    const who = fc.nat({ max: 1 })
    const leads = fc.subarray([1, 2, 5, 10, 11])
    const token = fc.record({
      jti: fc.nat({ max: 2 }),
      exp: fc.nat({ max: 40 }),
      big: fc.boolean(),
    })
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          op: fc.constant('register' as const),
          who,
          list: fc.array(token, { minLength: 1, maxLength: 4 }),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          op: fc.constant('advance' as const),
          ms: fc.constantFrom(1, 500, 999, 1000, 2000, 3500, 9000),
        }),
      },
      {
        weight: 6,
        arbitrary: fc.record({
          op: fc.constant('drain' as const),
          who,
          pick: fc.nat({ max: 5 }),
          cursor: fc.constantFrom('kept', '0', '77'),
          batch: fc.constantFrom(1, 2, 2000),
        }),
      },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('drainAll' as const), who }) },
      {
        weight: 1,
        arbitrary: fc.record({
          op: fc.constantFrom('revoke' as const, 'restore' as const),
          jti: fc.nat({ max: 2 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ op: fc.constant('configure' as const), who, leads }),
      },
    )
    const limits = fc.constantFrom(3, 6, Infinity)
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 40 }),
        fc.tuple(leads, leads),
        limits,
        async (steps, [one, other], most) => {
          const { tenant, base } = await openTenant()
          const processes = [processOf(one, most), processOf(other, most)]
          const model = new WheelModel(base * 1000)
          const history: Announced[] = []

          const drainSecond = async (
            process: Process,
            second: number,
            cursor: string,
            batch: number,
          ): Promise<void> => {
            const before = [...model.tokens.values()].filter((lying) => lying.second === second)
            const result = await process.tokens.drain(tenant, 0, second, cursor, 1e6, batch)
            process.cursors.set(second, result.cursor)
            const announced = announcedIn(result.entries)
            if (second * 1000 > model.nowMs) {
              expect([result.word, announced]).to.deep.equal(['early', []])
              return
            }
            const left = new Set(
              (await readWheel(test.store, tenant))
                .filter((lying) => lying.second === second)
                .map(({ jti, exp }) => `${jti} ${exp}`),
            )
            expect(result.left).to.equal(left.size)
            const taken = before.filter(({ jti, exp }) => !left.has(`${jti} ${exp}`))
            const expected = model.drain(taken, process.leadSeconds)
            expect(textsOf(announced)).to.deep.equal(textsOf(expected))
            history.push(...announced)
          }
          const drainDue = async (process: Process): Promise<void> => {
            for (;;) {
              const { seconds } = await process.tokens.due(tenant, 0, 0)
              if (seconds.length === 0) return
              for (const second of seconds) await drainSecond(process, second, '0', 2000)
            }
          }
          // Knows of no lead time but by what the store tells it.
          const stranger = processOf()
          const check = async (): Promise<void> => {
            const lying = await readWheel(test.store, tenant)
            expect(lyingTexts(lying)).to.deep.equal(lyingTexts([...model.tokens.values()]))
            const count = await test.store.redis.hget(
              test.store.keys.shard(tenant, 0).meta,
              'tokens',
            )
            expect(Number(count ?? 0)).to.equal(model.tokens.size)
            for (const { jti, exp } of lying) {
              expect(await stranger.tokens.isRegistered(tenant, jti, exp), jti).to.equal(true)
              const isOther = model.tokens.has(`${jti} ${exp + 1}`)
              const found = await stranger.tokens.isRegistered(tenant, jti, exp + 1)
              expect(found, `${jti} a second later`).to.equal(isOther)
            }
          }

          for (const each of steps) {
            // Rules are written by the process's idea of the store's clock, which an answer sets.
            if (each.op === 'revoke' || each.op === 'restore') await test.store.touch(tenant, 0)
            if (each.op === 'register') {
              const process = processes[each.who] as Process
              const outcomes = await Promise.all(
                each.list.map(({ jti, exp, big }) =>
                  outcomeOf(
                    process.tokens.register(tenant, {
                      jti: `j${jti}`,
                      exp: base + exp,
                      // What is longer than a packed hash takes makes it a table, which is scanned in parts.
                      ...(big && { sub: 'x'.repeat(200) }),
                    }),
                  ),
                ),
              )
              const expected = each.list.map(({ jti, exp }) =>
                model.register(`j${jti}`, base + exp, process.leadSeconds, most),
              )
              expect(outcomes).to.deep.equal(expected)
            } else if (each.op === 'advance') {
              model.nowMs += each.ms
              await setNow(tenant, model.nowMs)
            } else if (each.op === 'drain') {
              const process = processes[each.who] as Process
              const seconds = [...new Set([...model.tokens.values()].map(({ second }) => second))]
              const second = seconds.sort((a, b) => a - b)[each.pick % (seconds.length || 1)]
              if (second === undefined) continue
              const kept = process.cursors.get(second) ?? '0'
              const cursor = each.cursor === 'kept' ? kept : each.cursor
              await drainSecond(process, second, cursor, each.batch)
            } else if (each.op === 'drainAll') {
              await drainDue(processes[each.who] as Process)
            } else if (each.op === 'configure') {
              ;(processes[each.who] as Process).leadSeconds = each.leads
            } else if (each.op === 'revoke') {
              const jti = `j${each.jti}`
              const match = { jti }
              model.revoked.add(jti)
              await test.rules.revoke(tenant, {
                op: 'revoke',
                match,
                ttlSeconds: 3600,
                skewSeconds: 0,
              })
            } else {
              const jti = `j${each.jti}`
              if (model.revoked.delete(jti)) {
                const match = { jti }
                await test.rules.restore(tenant, { op: 'restore', match, ttlSeconds: 3600 })
              }
            }
            await check()
          }
          model.nowMs = (base + 60) * 1000
          await setNow(tenant, model.nowMs)
          await drainDue(processes[0] as Process)
          await check()
          expect(model.tokens.size).to.equal(0)

          const texts = history.map((one) => JSON.stringify(one))
          expect(new Set(texts).size, 'each announcement once').to.equal(texts.length)
          for (const [i, { kind, jti, exp }] of history.entries()) {
            if (kind !== 'expiring') continue
            const expiry = history.findIndex(
              (each) => each.kind === 'expired' && each.jti === jti && each.exp === exp,
            )
            expect(expiry === -1 || expiry > i, 'expiring before expired').to.equal(true)
          }
        },
      ),
      { numRuns: 200 },
    )
  })
})
