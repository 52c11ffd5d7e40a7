import { expect } from 'chai'
import fc from 'fast-check'
import { pino } from 'pino'
import { MAX_ROUNDS, readPage, type AuditPage } from '../../../notifier/audit-trail.ts'
import type { AuditRecord } from '../../../shared/domain/audit-record.ts'
import { KnellError } from '../../../shared/domain/errors.ts'
import { DueChanges } from '../../../shared/relay/due-changes.ts'
import { AuditMerge, type AuditCursor } from '../../../shared/store/audit-merge.ts'
import { AuditStore } from '../../../shared/store/audit-store.ts'
import { codeOf } from '../../support/code-of.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'

const TENANT = 'default'
const TTL = 3600
const lives = { ttlSeconds: TTL, skewSeconds: 0 }
const actOf = (action: string, more: object = {}): string =>
  JSON.stringify({ action, who: { key: 'k' }, from: { address: null, via: 'api' }, ...more })

describe('the audit trail in the store', function () {
  this.timeout(60_000)
  let test: TestStore
  let audit: AuditStore
  beforeEach(() => {
    test = openTestStore({ shards: 2 })
    audit = new AuditStore(test.store)
  })
  afterEach(() => test.close())

  async function read(
    newestFirst: boolean,
    tenants: readonly string[] = [TENANT],
    range: { after?: number; before?: number; cursor?: AuditCursor } = {},
  ): Promise<AuditRecord[]> {
    const places = audit.places(tenants, true)
    const merge = new AuditMerge(test.store, places, { newestFirst, ...range }, 3)
    const found: AuditRecord[] = []
    for (;;) {
      const records = await merge.next()
      if (records.length === 0) return found
      found.push(...records)
    }
  }

  const revoke = (match: { sub: string } | { jti: string }, more: object = {}) =>
    test.rules.revoke(TENANT, { op: 'revoke', match, ...lives }, { act: actOf('revoke'), ...more })

  it('has one record per change, whatever is repeated', async () => {
    const idempotency = { key: 'k1', body: 'b1' }
    const first = await revoke({ sub: 'a' }, { idempotency })
    expect(await revoke({ sub: 'a' }, { idempotency })).to.deep.equal(first)
    const other = { idempotency: { key: 'k1', body: 'b2' } }
    expect(await codeOf(revoke({ sub: 'a' }, other))).to.equal('idempotency_conflict')
    const [record, ...others] = await read(true)
    expect(others).to.deep.equal([])
    const { ids, ...rest } = first
    expect(record?.result).to.deep.equal({ ok: true, id: ids[0], ...rest })
  })

  it('has one record where a commit is repeated whose answer was lost', async () => {
    const { store } = test
    const run = store.run.bind(store)
    let lost = 0
    // The script has run, and its answer never comes.
    store.run = async (name, keys, args) => {
      const reply = await run(name, keys, args)
      if (name !== 'commit' || lost > 0) return reply
      lost += 1
      throw new KnellError('store_unavailable', 'The connection was lost.')
    }
    await revoke({ sub: 'lost' })
    expect(lost).to.equal(1)
    expect(await read(true)).to.have.length(1)
    expect(test.entries).to.have.length(0)
  })

  it('has no record of what was refused, and says where nothing was added', async () => {
    const bad = test.rules.revoke(
      TENANT,
      { op: 'revoke', match: { sub: 'a' }, issuedBefore: 2 ** 33, ...lives },
      { act: actOf('revoke') },
    )
    expect(await codeOf(bad)).to.equal('issued_before_in_future')
    expect(await read(true)).to.deep.equal([])
    await revoke({ jti: 'j' })
    await revoke({ jti: 'j' })
    const [again, first] = await read(true)
    expect(again?.result).to.deep.equal({ ...first?.result, changed: false })
  })

  it('tells once that a due change is refused, however often it is tried, and when it is made', async () => {
    const at = (await test.now(TENANT)) + 10
    const match = { sub: 'a' }
    const change = { op: 'revoke', match, ...lives } as const
    for (let i = 0; i < 16; i++) {
      await test.rules.revoke(TENANT, { ...change, except: { sid: `s${i}` } })
    }
    await test.schedules.schedule(TENANT, at, { ...change, except: { sid: 'one more' } })
    const due = new DueChanges({
      store: test.store,
      schedules: test.schedules,
      tenants: [TENANT],
      audit: { ownAct: ({ action, cause }, via) => actOf(action, { cause, from: { via } }) },
      livesOf: () => Promise.resolve(lives),
      log: pino({ enabled: false }),
    })
    for (let i = 0; i < 4; i++) {
      for (const shard of [0, 1]) await passIn(shard, 70)
      expect((await due.runOnce(0, 'everywhere')).refused).to.equal(1)
    }
    const restored = { op: 'restore', match, ttlSeconds: TTL } as const
    await test.rules.restore(TENANT, restored)
    for (const shard of [0, 1]) await passIn(shard, 70)
    await due.runOnce(0, 'everywhere')
    const records = await read(false)
    expect(
      records.map(({ action, from, result }) => [action, from.via, result.code]),
    ).to.deep.equal([
      ['scheduled-fired', 'sweep', 'too_many_cutoffs'],
      ['scheduled-fired', 'sweep', undefined],
    ])
  })

  /** Lets the clock of one shard show a later time. */
  async function passIn(shard: number, seconds: number): Promise<void> {
    const { meta } = test.store.keys.shard(TENANT, shard)
    const { at } = await test.store.touch(TENANT, shard)
    await test.store.redis.hset(meta, 'now', at + seconds * 1000)
  }

  it('goes on behind records of a time that the clock of the store has not reached', async () => {
    const { at } = await test.store.touch(TENANT, 0)
    for (const shard of [0, 1]) {
      const { audit: key } = test.store.keys.shard(TENANT, shard)
      await test.store.redis.xadd(key, at + 500_000, 'a', actOf('sweep'), 'r', '{"ok":true}')
    }
    for (let i = 0; i < 10; i++) await revoke({ sub: `a${i}` })
    const records = await read(false)
    const revoked = Array.from({ length: 10 }, () => 'revoke')
    expect(records.map(({ action }) => action)).to.deep.equal(['sweep', 'sweep', ...revoked])
    expect(test.entries).to.have.length(10)
  })

  it('is trimmed by age to the millisecond, and by room from its oldest', async () => {
    const shard = 0
    const { audit: key } = test.store.keys.shard(TENANT, shard)
    const { at } = await test.store.touch(TENANT, shard)
    const day = 86_400_000
    await passIn(shard, 0)
    const put = (ms: number, n: number) =>
      test.store.redis.xadd(key, `${ms}-${n}`, 'a', actOf('sweep'), 'r', '{"ok":true}')
    for (let i = 0; i < 1000; i++) await put(at - 3 * day, i)
    for (let i = 1; i <= 300; i++) await put(at - day, i)
    let trimmed = { old: 0, cut: 0 }
    do {
      trimmed = await audit.trim('audit', TENANT, shard, 2, 1000)
    } while (trimmed.old + trimmed.cut > 0)
    expect(await read(false)).to.have.length(300)
    expect(await audit.cutAt([TENANT], true)).to.equal(undefined)
    // Whole nodes of the stream go, of which the last one may hold a few more than are to be kept.
    const { cut } = await audit.trim('audit', TENANT, shard, 2, 100)
    expect(cut).to.be.within(100, 200)
    expect(await audit.cutAt([TENANT], true)).to.equal(at - day)
    expect(await read(false)).to.have.length(300 - cut)
    await audit.trim('audit', TENANT, shard, 0, 100)
    expect(await read(false)).to.deep.equal([])
  })

  it('tells also of what concerns no single tenant that some had to go, and logins are not in its way', async () => {
    const result = '{"ok":true}'
    for (let i = 0; i < 300; i++) await audit.append('audit', null, actOf('sweep'), result)
    for (let i = 0; i < 300; i++) await audit.appendLogin(actOf('login'), result)
    const { at } = await test.store.touch(TENANT, 0)
    expect(await audit.trimOwn(at, 2, 300)).to.deep.equal({ old: 0, cut: 0 })
    expect(await audit.cutAt([TENANT], true)).to.equal(undefined)
    const { cut } = await audit.trimOwn(at, 2, 100)
    expect(cut).to.be.within(100, 200)
    const left = (await read(false)).filter(({ action }) => action === 'sweep')
    expect(left).to.have.length(300 - cut)
    expect(await audit.cutAt([TENANT], true)).to.equal(left[0]?.at)
    expect(await audit.cutAt([TENANT], false), 'to a key of some tenants').to.equal(undefined)
    await audit.trimOwn(at + 3 * 86_400_000, 2, 100)
    expect(await read(false)).to.deep.equal([])
  })

  it('keeps bulk registrations and changes whatever is refused', async () => {
    await audit.append('bulk', TENANT, actOf('register'), '{"ok":true}')
    await revoke({ sub: 'a' })
    const { traffic } = test.store.keys.shard(TENANT, 0)
    const many = test.store.redis.pipeline()
    for (let i = 0; i < 10_200; i++) many.xadd(traffic, '*', 'a', actOf('hold'), 'r', '{}')
    await many.exec()
    await audit.append('traffic', TENANT, actOf('hold'), '{"ok":false}')
    expect(await test.store.redis.xlen(traffic)).to.be.below(10_200)
    const kept = (await read(true)).map(({ action }) => action).filter((one) => one !== 'hold')
    expect(kept).to.deep.equal(['revoke', 'register'])
  })

  it('is one trail in one order, and read on from any record without gap or repeat', async () => {
    const places = audit.places(['a', 'b'], true)
    const puts = fc.array(
      fc.record({ place: fc.nat(places.length - 1), ms: fc.integer({ min: 1000, max: 1012 }) }),
      { maxLength: 60 },
    )
    await fc.assert(
      fc.asyncProperty(puts, fc.nat(60), async (list, from) => {
        await Promise.all(places.map(({ key }) => test.store.redis.del(key)))
        for (const { place, ms } of [...list].sort((one, two) => one.ms - two.ms)) {
          const key = places[place]?.key ?? ''
          await test.store.redis.xadd(key, `${ms}-*`, 'a', actOf('sweep'), 'r', '{"ok":true}')
        }
        const up = await read(false, ['a', 'b'])
        expect(up).to.have.length(list.length)
        expect(new Set(up.map(({ id, tenant }) => `${id} ${tenant}`)).size).to.equal(list.length)
        expect(up.map(({ at }) => at)).to.deep.equal(
          list.map(({ ms }) => ms).sort((one, two) => one - two),
        )
        expect((await read(true, ['a', 'b'])).toReversed()).to.deep.equal(up)
        const ranged = up.filter(({ at }) => at > 1003 && at < 1009)
        const range = { after: 1003, before: 1009 }
        expect(await read(false, ['a', 'b'], range)).to.deep.equal(ranged)
        expect((await read(true, ['a', 'b'], range)).toReversed()).to.deep.equal(ranged)
        const last = up[from]
        if (last === undefined) return
        const [place = '', label = ''] = last.id.split('.')
        const [ms, n] = place.split('-').map(Number) as [number, number]
        const cursor = { ms, n, label, tenant: last.tenant }
        expect(await read(false, ['a', 'b'], { cursor })).to.deep.equal(up.slice(from + 1))
        const older = await read(true, ['a', 'b'], { cursor })
        expect(older.toReversed()).to.deep.equal(up.slice(0, from))
      }),
      { numRuns: 40 },
    )
  })

  describe('of 1,000 tenants', () => {
    const tenants = Array.from({ length: 1000 }, (_, i) => `t${i}`)
    const first = 1_700_000_000_000
    let at = first

    /** One record each of these tenants, one after the other. */
    async function put(names: readonly string[], key: string): Promise<void> {
      const { redis, keys } = test.store
      const act = JSON.stringify({ action: 'revoke', who: { key }, from: {} })
      const puts = names.map((name) => {
        at += 1
        return redis.xadd(keys.shard(name, 0).audit, `${at}-0`, 'a', act, 'r', '{"ok":true}')
      })
      await Promise.all(puts)
    }

    /** A page, and how often the store was asked for it. */
    async function pageOf(
      who: string,
      from?: string,
    ): Promise<{ page: AuditPage; rounds: number }> {
      const store = Object.create(test.store) as typeof test.store
      let rounds = 0
      store.readAll = (commands) => {
        rounds += 1
        return test.store.readAll(commands)
      }
      const trail = { tenants, own: true, filter: { who }, after: undefined, before: undefined }
      const page = await readPage({ store, auditStore: audit }, trail, 1000, from)
      return { page, rounds }
    }

    beforeEach(() => (at = first))

    it('asks for many at once where all of them do something', async () => {
      await put(['t7'], 'wanted')
      for (let i = 0; i < 6; i++) await put(tenants, 'k')
      const { page, rounds } = await pageOf('wanted')
      expect(page.audit.map(({ tenant }) => tenant)).to.deep.equal(['t7'])
      expect(page.next).to.equal(undefined)
      expect(rounds).to.be.below(20)
    })

    it('ends a page after as many reads as it may have, and the next one goes on there', async () => {
      await put(['t7'], 'wanted')
      // Each does a little at a time of its own, so that nothing can be asked for together.
      for (const name of tenants) await put([name, name, name], 'k')
      const pages: AuditPage[] = []
      let from: string | undefined
      do {
        const { page, rounds } = await pageOf('wanted', from)
        expect(rounds).to.be.at.most(MAX_ROUNDS)
        pages.push(page)
        from = page.next
      } while (from !== undefined)
      expect(pages.length).to.be.within(4, 8)
      expect(pages[0]?.audit).to.deep.equal([])
      const found = pages.flatMap(({ audit: records }) => records)
      expect(found.map(({ at: ms, tenant }) => [ms, tenant])).to.deep.equal([[first + 1, 't7']])
      const seen: number[] = []
      do {
        const { page } = await pageOf('k', from)
        seen.push(...page.audit.map(({ at: ms }) => ms))
        from = page.next
      } while (from !== undefined)
      expect(seen).to.deep.equal(Array.from({ length: 3000 }, (_, i) => at - i))
    })
  })
})
