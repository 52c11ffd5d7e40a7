import { expect } from 'chai'
import fc from 'fast-check'
import { createSecretKey, createHmac, randomBytes } from 'node:crypto'
import pino from 'pino'
import { RefreshTokens, refreshHashOf } from '../../../notifier/issuer/refresh-tokens.ts'
import { planRefresh, type FamilyFacts } from '../../../shared/domain/family.ts'
import { parseEntry, parseJson } from '../../../shared/domain/entry.ts'
import { shardOfMatch } from '../../../shared/domain/shard.ts'
import { DueChanges } from '../../../shared/relay/due-changes.ts'
import { FamilyStore, type Family, type Rotated } from '../../../shared/store/family-store.ts'
import { codeOf } from '../../support/code-of.ts'
import { FamilyModel, familySteps } from '../../support/family-model.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'

const TENANT = 'default'
const LIVES = { ttlSeconds: 3600, skewSeconds: 0 }
const GRACE = 10_000
const LIFE = 86_400
const key = createSecretKey(randomBytes(32))
const tokens = new RefreshTokens({
  macs: (text) => [createHmac('sha256', key).update(text).digest()],
})

describe('families of refresh tokens in the store', () => {
  let test: TestStore
  let families: FamilyStore
  beforeEach(() => {
    test = openTestStore()
    families = new FamilyStore(test.store)
  })
  afterEach(() => test.close())

  async function begin(facts: Partial<FamilyFacts> = {}, life = LIFE): Promise<Family> {
    const id = families.newId(facts.sid)
    const seed = randomBytes(16).toString('base64url')
    const startedAt = await test.now(TENANT)
    const hash = refreshHashOf(tokens.newest(TENANT, { id, seed }, 1))
    await families.begin(TENANT, {
      id,
      seed,
      hash,
      startedAt,
      endsAt: startedAt + life,
      facts: { sub: 'alice', client_id: 'web', sid: id, aud: 'api', ...facts },
    })
    return found(id)
  }

  async function found(id: string): Promise<Family> {
    const { family } = await families.find(TENANT, id)
    if (family === undefined) throw new Error('The family is gone.')
    return family
  }

  async function present(family: Family, generation: number, seenAt?: number): Promise<Rotated> {
    const hashOf = (of: number): string => refreshHashOf(tokens.newest(TENANT, family, of))
    const rotation = {
      generation,
      hash: hashOf(generation),
      next: hashOf(generation + 1),
      graceMs: GRACE,
      at: seenAt ?? (await families.find(TENANT, family.id)).at,
    }
    return families.rotate(TENANT, family, rotation, LIVES)
  }

  /** Lets the clock of the family's shard show this time (ms), unless it is past it. */
  async function showTime({ shard }: Family, ms: number): Promise<void> {
    await test.store.redis.hset(test.store.keys.shard(TENANT, shard).meta, 'now', ms)
  }

  it('keep hashes only, in the shard of their sid, until their end', async () => {
    for (const sid of ['s-1', 'a"\n{ü}', 'x'.repeat(256)]) {
      const family = await begin({ sid })
      expect(family.shard).to.equal(shardOfMatch({ sid }, 4))
      expect(family.facts.sid).to.equal(sid)
      expect(await families.idOf(TENANT, sid)).to.equal(family.id)
      const token = tokens.newest(TENANT, family, 1)
      await present(family, 1)
      const name = test.store.keys.shard(TENANT, family.shard).family(family.id)
      const kept = JSON.stringify(await test.store.redis.hgetall(name))
      const [, , , mac = ''] = token.split('.')
      expect(kept).to.include(refreshHashOf(token)).and.not.include(mac)
      expect(kept).not.to.include(tokens.newest(TENANT, family, 2).split('.')[3])
      expect(await test.store.redis.expiretime(name)).to.equal(family.endsAt)
    }
  })

  it('begin once per sid while one lives, and again after it is over', async () => {
    expect(await codeOf(begin({}, 0))).to.equal('session_ended')
    const first = await begin({ sid: 's-1' })
    expect(await codeOf(begin({ sid: 's-1' }))).to.equal('session_exists')
    // The answer was lost and it is sent again.
    const again = { ...first, hash: first.current }
    await families.begin(TENANT, again)
    expect(await families.end(TENANT, first, 'logout')).to.equal(true)
    expect(await families.end(TENANT, first, 'logout')).to.equal(false)
    expect((await found(first.id)).dead).to.equal('logout')
    const second = await begin({ sid: 's-1' })
    await present(second, 1)
    await showTime(second, ((await test.now(TENANT)) + 3600) * 1000)
    expect((await present(second, 1)).plan).to.equal('reuse')
    await begin({ sid: 's-1' })
  })

  it('do what a plain list of their tokens says, in whatever order and time they come', async () => {
    await fc.assert(
      fc.asyncProperty(familySteps, async (steps) => {
        const family = await begin()
        const start = (await test.now(TENANT)) * 1000 + 3_600_000
        await showTime(family, start)
        const model = new FamilyModel(GRACE, family.endsAt * 1000)
        let now = start
        let newest = 1
        for (const { wait, back } of steps) {
          now += wait
          await showTime(family, now)
          const generation = Math.max(1, newest - back)
          const expected = model.present(generation, now)
          const known = await found(family.id)
          const hash = refreshHashOf(tokens.newest(TENANT, family, generation))
          const planned = planRefresh(known, { generation, hash }, now, GRACE)
          const { plan, generation: after, current } = await present(family, generation)
          newest = after
          expect([plan, planned]).to.deep.equal([expected.plan, expected.plan])
          expect(after).to.equal(expected.newest)
          expect(current).to.equal(refreshHashOf(tokens.newest(TENANT, family, after)))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('answer one successor to 100 that come at once', async () => {
    const family = await begin()
    const answers = await Promise.all(Array.from({ length: 100 }, () => present(family, 1)))
    const plans = answers.map(({ plan }) => plan)
    expect(plans.filter((plan) => plan === 'rotate')).to.have.length(1)
    expect(plans.filter((plan) => plan === 'same')).to.have.length(99)
    expect(new Set(answers.map(({ current }) => current)).size).to.equal(1)
    expect((await found(family.id)).generation).to.equal(2)
  })

  for (const [by, plan] of [
    [-1, 'same'],
    [0, 'reuse'],
    [1, 'reuse'],
  ] as const) {
    it(`take a used token ${by} ms from the end of the grace as ${plan}`, async () => {
      const family = await begin()
      await showTime(family, (await test.now(TENANT)) * 1000 + 60_000)
      await present(family, 1)
      const { rotatedAt } = await found(family.id)
      await showTime(family, rotatedAt + GRACE + by)
      expect((await present(family, 1)).plan).to.equal(plan)
    })
  }

  it('take a token by when it came, however long it then took', async () => {
    const family = await begin()
    const { at } = await families.find(TENANT, family.id)
    await present(family, 1)
    const { rotatedAt } = await found(family.id)
    await showTime(family, rotatedAt + GRACE + 60_000)
    expect((await present(family, 1, at)).plan).to.equal('same')
    // Nor does it help to say that it came later than now.
    expect((await present(family, 1, rotatedAt * 2)).plan).to.equal('reuse')
  })

  for (const [by, plan] of [
    [-1, 'rotate'],
    [0, 'ended'],
    [1, 'ended'],
  ] as const) {
    it(`answer ${plan} ${by} ms from their end`, async () => {
      const family = await begin()
      await showTime(family, family.endsAt * 1000 + by)
      expect((await present(family, 1)).plan).to.equal(plan)
    })
  }

  it('kill themselves where a token is used again, and plan the revocation of their sid in the same step', async () => {
    const family = await begin({ sid: 's-"9"' })
    await present(family, 1)
    await present(family, 2)
    const reused = await present(family, 1)
    expect([reused.plan, reused.dead]).to.deep.equal(['reuse', 'reuse'])
    expect(reused.due?.match).to.deep.equal({ sid: 's-"9"' })
    for (const generation of [1, 2, 3, 4]) {
      const { plan, dead, due } = await present(family, generation)
      expect([plan, dead, due]).to.deep.equal(['dead', 'reuse', undefined])
    }
    // Whoever found the reuse is gone: the sweep makes what is due, once.
    const due = new DueChanges({
      store: test.store,
      schedules: test.schedules,
      tenants: [TENANT],
      livesOf: () => Promise.resolve(LIVES),
      log: pino({ enabled: false }),
    })
    expect((await due.runOnce(0, 'everywhere')).schedules).to.equal(1)
    expect((await due.runOnce(0, 'everywhere')).schedules).to.equal(0)
    const [entry, ...more] = test.entries
    expect(more).to.deep.equal([])
    const { kind, events } = parseEntry(parseJson(String(entry?.body)))
    expect([kind, events.length]).to.deep.equal(['revoked', 1])
    expect(events[0]).to.deep.include({ match: { sid: 's-"9"' }, reason: 'reuse' })
  })

  it('adopt a newer token than the store knows, which was rolled back, and go on from there', async () => {
    const family = await begin()
    const name = test.store.keys.shard(TENANT, family.shard).family(family.id)
    const older = await test.store.redis.hgetall(name)
    for (const generation of [1, 2, 3]) await present(family, generation)
    await test.store.redis.hset(name, older)
    expect((await found(family.id)).generation).to.equal(1)
    const adopted = await present(family, 4)
    expect([adopted.plan, adopted.generation]).to.deep.equal(['rotate', 5])
    expect((await present(family, 4)).plan).to.equal('same')
    expect((await present(family, 5)).plan).to.equal('rotate')
    expect((await present(family, 3)).plan).to.equal('reuse')
  })

  it('are not killed by a token of their generation that was never given out', async () => {
    const family = await begin()
    const rotation = { generation: 1, hash: 'other', next: 'next', graceMs: GRACE, at: 0 }
    expect((await families.rotate(TENANT, family, rotation, LIVES)).plan).to.equal('unknown')
    expect((await present(family, 1)).plan).to.equal('rotate')
  })
})
