import { expect } from 'chai'
import fc from 'fast-check'
import type { PrivateEngine } from '../../../shared/cli/engines/private-engine.ts'
import { parseRedisUrl } from '../../../shared/config/redis-url.ts'
import type { Kind } from '../../../shared/domain/entry.ts'
import type { Handled } from '../../../shared/domain/handled.ts'
import {
  comparePositions,
  formatPosition,
  ORIGIN,
  parsePosition,
  type Log,
  type Position,
} from '../../../shared/domain/position.ts'
import { HandlerStore } from '../../../shared/store/handler-store.ts'
import { HoleStore, type Place } from '../../../shared/store/hole-store.ts'
import { createRedis } from '../../../shared/store/redis.ts'
import type { StoredEntry } from '../../../shared/store/rule-commit.ts'
import { RuleStore } from '../../../shared/store/rule-store.ts'
import type { ServiceRecord } from '../../../shared/store/service-record.ts'
import { Store } from '../../../shared/store/store.ts'
import { UpkeepStore } from '../../../shared/store/upkeep-store.ts'
import { eventually } from '../../support/eventually.ts'
import { startRedisCluster } from '../../support/redis-cluster.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'
import { deleteKeys, keysOf, serversOf, written } from '../../support/redis.ts'

const TENANT = 'default'
const EAGER = { graceMs: 0, baseMs: 50, marginMs: 0, loanMs: 1000 }
const ALL_DUE = { empty: true, doneAt: 0 }

function reportOf(epoch: string, done: readonly (readonly [number, number[]])[]): Handled {
  const upTo = Math.max(0, ...done.map(([seq]) => seq))
  return { log: 'revocations', shard: 0, epoch, upTo, done: new Map(done), retrying: new Map() }
}

describe('what the store keeps of handlers', () => {
  let test: TestStore
  let handlers: HandlerStore
  let holes: HoleStore
  let count = 0
  beforeEach(() => {
    test = openTestStore({ shards: 1 })
    handlers = new HandlerStore(test.store)
    holes = new HoleStore(test.store, EAGER)
  })
  afterEach(() => test.close())

  /** As if RabbitMQ had confirmed all entries. */
  async function confirm(): Promise<void> {
    await test.store.redis.del(test.store.keys.shard(TENANT, 0).unsent.revocations)
  }

  /** Commits events that share entries as far as they come together. */
  async function revoke(events: number): Promise<void> {
    await Promise.all(
      Array.from({ length: events }, () =>
        test.rules.revoke(TENANT, {
          op: 'revoke',
          match: { sub: `u${count++}` },
          ttlSeconds: 3600,
          skewSeconds: 0,
        }),
      ),
    )
    await confirm()
  }

  async function placeOf(service: string, log: Log = 'revocations'): Promise<Place> {
    const record = (await handlers.list(TENANT)).find((each) => each.service === service)
    return { tenant: TENANT, shard: 0, log, record: record as ServiceRecord }
  }

  async function judgeAll(
    service: string,
    evidence = ALL_DUE,
  ): Promise<{ lost: number; word: string }> {
    const place = await placeOf(service)
    let lost = 0
    for (;;) {
      const done = await holes.scan(place, evidence, 3)
      lost += done.lost
      if (done.word !== 'more') return { lost, word: done.word }
    }
  }

  async function stateOf(
    service: string,
  ): Promise<{ mark: string; judged: string; open: string[] }> {
    const state = (await handlers.services(TENANT)).find((each) => each.service === service)
    const mark = state?.marks.find((each) => each.log === 'revocations')
    const key = test.store.keys.shard(TENANT, 0).holes(service, 'revocations')
    const open = (await test.store.redis.zrange(key, 0, '-1')).map(parsePosition)
    expect(mark?.open).to.equal(open.length)
    return {
      mark: formatPosition(mark?.mark ?? ORIGIN),
      judged: formatPosition(mark?.judged ?? ORIGIN),
      open: open.sort(comparePositions).map(formatPosition),
    }
  }

  const at = (index: number): string =>
    formatPosition(
      test.entries[index < 0 ? test.entries.length + index : index]?.position ?? ORIGIN,
    )
  const records = async (service: string): Promise<number> =>
    test.store.redis.hlen(test.store.keys.shard(TENANT, 0).handled(service, 'revocations'))
  const epochNow = async (): Promise<string> => (await test.store.touch(TENANT, 0)).epoch

  it('equals a plain list of what was committed and reported, whatever came in whatever order', async () => {
    const services = ['orders', 'mail']
    const service = fc.constantFrom(...services)
    const picks = fc.array(fc.tuple(fc.nat(), fc.array(fc.nat(6), { maxLength: 4 })), {
      maxLength: 6,
    })
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({
          op: fc.constant('revoke' as const),
          events: fc.integer({ min: 1, max: 5 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('restore' as const) }) },
      {
        weight: 2,
        arbitrary: fc.record({ op: fc.constant('register' as const), service, both: fc.boolean() }),
      },
      {
        weight: 4,
        arbitrary: fc.record({
          op: fc.constant('report' as const),
          service,
          picks,
          again: fc.nat(3),
        }),
      },
      { weight: 2, arbitrary: fc.record({ op: fc.constant('judge' as const), service }) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        await test.close()
        test = openTestStore({ shards: 1 })
        handlers = new HandlerStore(test.store)
        holes = new HoleStore(test.store, EAGER)
        const { epoch } = await test.store.touch(TENANT, 0)
        type Model = { since: Map<Kind, number>; done: Map<number, Set<number>> }
        const model = new Map<string, Model>()
        const said: { service: string; handled: Handled }[] = []
        const sizes = (): number[] =>
          test.entries.map(({ body }) => (JSON.parse(body) as { events: unknown[] }).events.length)
        const tell = async (name: string, handled: Handled): Promise<void> => {
          await handlers.report(TENANT, name, [handled])
          const known = model.get(name)
          if (known === undefined) return
          for (const [seq, indexes] of handled.done) {
            if (seq > test.entries.length) continue
            const all = Array.from({ length: sizes()[seq - 1] ?? 0 }, (_, i) => i)
            const set = known.done.get(seq) ?? new Set()
            for (const index of indexes.length === 0 ? all : indexes) set.add(index)
            known.done.set(seq, set)
          }
        }
        for (const each of steps) {
          if (each.op === 'revoke') await revoke(each.events)
          else if (each.op === 'restore') {
            await revoke(1)
            await test.rules.restore(TENANT, {
              op: 'restore',
              match: { sub: `u${count - 1}` },
              ttlSeconds: 3600,
            })
            await confirm()
          } else if (each.op === 'register') {
            const kinds: Kind[] = each.both ? ['revoked', 'restored'] : ['revoked']
            await handlers.register(TENANT, each.service, kinds, 5)
            const known: Model = model.get(each.service) ?? { since: new Map(), done: new Map() }
            for (const kind of kinds)
              if (!known.since.has(kind)) known.since.set(kind, test.entries.length)
            model.set(each.service, known)
          } else if (each.op === 'report') {
            const done = each.picks.map(([seq, indexes]): [number, number[]] => [
              1 + (seq % (test.entries.length + 2)),
              indexes,
            ])
            const handled = reportOf(epoch, done)
            await tell(each.service, handled)
            said.push({ service: each.service, handled })
            // Another reporter, or the same again, later.
            for (let i = 0; i < each.again; i++) {
              const old = said[i % said.length]
              if (old !== undefined) await tell(old.service, old.handled)
            }
          } else if (model.has(each.service)) await judgeAll(each.service)
        }
        for (const [name, { since, done }] of model) {
          expect((await judgeAll(name)).lost).to.equal(0)
          const open = test.entries.flatMap(({ position, body }, i) => {
            const from = since.get((JSON.parse(body) as { kind: Kind }).kind)
            const handled = done.get(position.seq) ?? new Set()
            const whole = Array.from({ length: sizes()[i] ?? 0 }, (_, n) => n).every((n) =>
              handled.has(n),
            )
            return from !== undefined && position.seq > from && !whole ? [position] : []
          })
          const first = open[0]
          const tail: Position = { term: Number(epoch.split('.')[0]), seq: test.entries.length }
          const mark = first === undefined ? tail : { ...first, seq: first.seq - 1 }
          expect(await stateOf(name)).to.deep.equal({
            mark: formatPosition(mark),
            judged: formatPosition(tail),
            open: open.map(formatPosition),
          })
          expect(await records(name)).to.equal(open.length)
        }
      }),
      { numRuns: 60 },
    )
  }).timeout(120_000)

  it('owes a service nothing from before its first registration, and everything after it', async () => {
    await revoke(1)
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    await revoke(1)
    await handlers.register(TENANT, 'orders', ['revoked'], 7)
    expect(await judgeAll('orders')).to.deep.equal({ lost: 0, word: 'end' })
    expect(await stateOf('orders')).to.deep.equal({ mark: at(0), judged: at(1), open: [at(1)] })
    expect((await handlers.services(TENANT))[0]).to.include({ service: 'orders', maxAttempts: 7 })
  })

  it('ignores what an unknown service or one of another epoch reports', async () => {
    await revoke(1)
    const epoch = await epochNow()
    expect(await handlers.report(TENANT, 'nobody', [reportOf(epoch, [[1, []]])])).to.deep.equal({
      known: false,
      ignored: 0,
    })
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    await revoke(1)
    const [term = ''] = epoch.split('.')
    for (const other of [`${term}.beef`, `${Number(term) + 1}.beef`, '5.a']) {
      await handlers.report(TENANT, 'orders', [reportOf(other, [[2, []]])])
    }
    await judgeAll('orders')
    expect((await stateOf('orders')).open).to.deep.equal([at(1)])
  })

  it('forgets a removed service, which begins anew when it registers again', async () => {
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    await revoke(1)
    await judgeAll('orders')
    expect(await handlers.remove(TENANT, 'orders')).to.equal(true)
    expect(await handlers.remove(TENANT, 'orders')).to.equal(false)
    expect(await handlers.services(TENANT)).to.deep.equal([])
    expect(await keysOf(test.store.redis, '*:s:orders:*')).to.deep.equal([])
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    await judgeAll('orders')
    expect(await stateOf('orders')).to.deep.equal({ mark: at(0), judged: at(0), open: [] })
  })

  it('leaves young entries alone, and what may still be in the queue', async () => {
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    await revoke(1)
    const patient = new HoleStore(test.store, { ...EAGER, graceMs: 60_000 })
    expect((await patient.scan(await placeOf('orders'), ALL_DUE)).word).to.equal('young')
    expect((await judgeAll('orders', { empty: false, doneAt: 0 })).word).to.equal('waiting')
    await revoke(1)
    await handlers.report(TENANT, 'orders', [reportOf(await epochNow(), [[2, []]])])
    const state = await handlers.state(TENANT, 0, await handlers.list(TENANT))
    const doneAt = Number(state.services[0]?.revocations.doneAt)
    expect(doneAt).to.equal((JSON.parse(test.entries[1]?.body ?? '') as { at: number }).at)
    // A later entry is done, so the first is not in the queue any more.
    expect((await judgeAll('orders', { empty: false, doneAt: doneAt + 1 })).word).to.equal('end')
    expect((await stateOf('orders')).open).to.deep.equal([at(0)])
  })

  it('leaves what RabbitMQ has not confirmed to the relay, whatever its age', async () => {
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    await revoke(1)
    await revoke(1)
    const { unsent } = test.store.keys.shard(TENANT, 0)
    await test.store.redis.zadd(unsent.revocations, 1, at(1))
    expect((await judgeAll('orders')).word).to.equal('young')
    expect(await stateOf('orders')).to.deep.equal({
      mark: formatPosition({ ...(test.entries[0]?.position ?? ORIGIN), seq: 0 }),
      judged: at(0),
      open: [at(0)],
    })
    await confirm()
    expect((await judgeAll('orders')).word).to.equal('end')
  })

  it('takes no older version of its kinds over, whoever finishes last', async () => {
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    const old = { ...(await placeOf('orders')).record, synced: 0 }
    await handlers.register(TENANT, 'orders', ['revoked', 'restored'], 5)
    await handlers.sync(TENANT, old)
    const marks = await test.store.redis.hgetall(test.store.keys.shard(TENANT, 0).marks('orders'))
    expect(marks).to.include.keys('since:rev:revoked', 'since:rev:restored')
  })

  it('keeps a kind through a rolling deployment, in which old and new instances name different ones', async () => {
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    await revoke(1)
    await handlers.register(TENANT, 'orders', ['restored'], 5)
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    expect((await handlers.services(TENANT))[0]?.kinds).to.have.members(['revoked', 'restored'])
    await judgeAll('orders')
    expect((await stateOf('orders')).open).to.deep.equal([at(0)])
  })

  it('bounds holes and records: beyond that the mark waits, and reports count as not made', async () => {
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    for (let i = 0; i < 5; i++) await revoke(1)
    const place = await placeOf('orders')
    expect((await holes.scan(place, ALL_DUE, 100, 2)).word).to.equal('full')
    expect((await stateOf('orders')).open).to.deep.equal([at(0), at(1)])
    await handlers.report(TENANT, 'orders', [reportOf(await epochNow(), [[1, []]])])
    expect((await holes.scan(place, ALL_DUE, 100, 2)).word).to.equal('full')
    expect((await stateOf('orders')).open).to.deep.equal([at(1), at(2)])
  })

  it('lends a hole to one sweep at a time, and counts a try once however often it is told', async () => {
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    await revoke(1)
    await judgeAll('orders')
    const place = await placeOf('orders')
    const key = test.store.keys.shard(TENANT, 0).holes('orders', 'revocations')
    const [hole] = (await holes.claim(place, ALL_DUE, 10)).holes
    if (hole === undefined) throw new Error('nothing was lent')
    expect(hole).to.deep.include({ tries: 0, done: new Set(), body: test.entries[0]?.body })
    expect((await holes.claim(place, ALL_DUE, 10)).holes).to.deep.equal([])
    // The sweep that had it died: another gets it when the loan is over.
    await test.store.redis.zadd(key, 0, at(0))
    expect((await holes.claim(place, ALL_DUE, 10)).holes).to.have.length(1)
    for (let i = 0; i < 3; i++) await holes.settle(place, [{ hole, outcome: 'sent' }])
    await test.store.redis.zadd(key, 0, at(0))
    expect((await holes.claim(place, ALL_DUE, 10)).holes[0]?.tries).to.equal(1)
    await holes.settle(place, [{ hole: { ...hole, tries: 1 }, outcome: 'unroutable' }])
    await test.store.redis.zadd(key, 0, at(0))
    expect((await holes.claim(place, ALL_DUE, 10)).holes[0]?.tries).to.equal(1)
    await holes.settle(place, [{ hole: { ...hole, tries: 1 }, outcome: 'sent' }])
    // What a slow sweep tells of an earlier loan changes nothing.
    await holes.settle(place, [{ hole, outcome: 'sent' }])
    await test.store.redis.zadd(key, 0, at(0))
    expect((await holes.claim(place, ALL_DUE, 10)).holes[0]?.tries).to.equal(2)
    // Handled meanwhile: nothing that the sweep says brings it back.
    await handlers.report(TENANT, 'orders', [reportOf(await epochNow(), [[1, []]])])
    await holes.settle(place, [{ hole: { ...hole, tries: 1 }, outcome: 'sent' }])
    expect((await stateOf('orders')).open).to.deep.equal([])
    expect(await records('orders')).to.equal(0)
  })

  it('moves the mark over what was trimmed away and says how much was lost', async () => {
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    for (let i = 0; i < 6; i++) await revoke(1)
    await handlers.report(TENANT, 'orders', [reportOf(await epochNow(), [[2, []]])])
    await new UpkeepStore(test.store).trimFeed(TENANT, 'revocations', 0, 3_600_000, 2)
    expect(await judgeAll('orders')).to.deep.equal({ lost: 3, word: 'end' })
    expect((await stateOf('orders')).open).to.deep.equal([at(-2), at(-1)])
    await new UpkeepStore(test.store).trimFeed(TENANT, 'revocations', 0, 3_600_000, 1)
    const claimed = await holes.claim(await placeOf('orders'), ALL_DUE, 10)
    expect(claimed.lost).to.equal(1)
    expect(claimed.holes.map(({ position }) => formatPosition(position))).to.deep.equal([at(-1)])
  })

  it('passes a long trimmed gap in one step where nothing was reported of it', async () => {
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    await revoke(1)
    const { meta, feed } = test.store.keys.shard(TENANT, 0)
    await test.store.redis.hset(meta, 'rev', 1_000_000)
    await test.store.redis.del(feed.revocations)
    await revoke(1)
    const done = await holes.scan(await placeOf('orders'), ALL_DUE, 10)
    expect(done).to.deep.equal({ word: 'end', lost: 1_000_000, opened: 1 })
  })

  it('goes on with what is left of an earlier term, and never waits for a position that cannot come', async () => {
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    for (let i = 0; i < 3; i++) await revoke(1)
    const old = await epochNow()
    await handlers.report(TENANT, 'orders', [
      reportOf(old, [
        [1, []],
        [3, []],
      ]),
    ])
    const keys = test.store.keys.shard(TENANT, 0)
    // The store has lost the last of them, and keeps what was reported of it.
    await test.store.redis.xdel(keys.feed.revocations, at(2))
    // What `open()` finds after a restart.
    await test.store.redis.hset(keys.meta, 'run', 'another')
    await revoke(1)
    // A late report of the earlier term.
    await handlers.report(TENANT, 'orders', [reportOf(old, [[7, []]])])
    await judgeAll('orders')
    expect(await stateOf('orders')).to.deep.equal({
      mark: at(0),
      judged: at(3),
      open: [at(1), at(3)],
    })
    expect(await records('orders')).to.equal(2)
    await handlers.report(TENANT, 'orders', [reportOf(old, [[2, []]])])
    expect((await stateOf('orders')).open).to.deep.equal([at(3)])
    // A mark that no history of this store can have.
    await test.store.redis.hset(keys.marks('orders'), 'rev', '9999999999999-5')
    await judgeAll('orders')
    expect(await stateOf('orders')).to.include({ judged: at(3) })
    await revoke(1)
    await judgeAll('orders')
    expect((await stateOf('orders')).open).to.include(at(4))
  })

  it('owes all of the new term to a service that lived before the store was emptied', async () => {
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    const old = reportOf(await epochNow(), [])
    await deleteKeys(test.store.redis, `${test.store.keys.facts.split(':')[0]}:*`)
    // A term is at least the store's time in ms, so within one ms it could be the same again.
    await eventually(() => Date.now() > Number(old.epoch.split('.')[0]), { intervalMs: 1 })
    await revoke(1)
    await handlers.register(TENANT, 'orders', ['revoked'], 5, [old])
    await handlers.register(TENANT, 'mail', ['revoked'], 5)
    await judgeAll('orders')
    await judgeAll('mail')
    expect((await stateOf('orders')).open).to.deep.equal([at(0)])
    expect((await stateOf('mail')).open).to.deep.equal([])
  })

  it('owes all that is left in a shard that has lost its marks alone', async () => {
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    await revoke(1)
    const { record } = await placeOf('orders')
    await test.store.redis.del(test.store.keys.shard(TENANT, 0).marks('orders'))
    expect((await judgeAll('orders')).word).to.equal('gone')
    await handlers.resync(TENANT, 0, record)
    await judgeAll('orders')
    expect((await stateOf('orders')).open).to.deep.equal([at(0)])
  })
})

describe('what is owed to handlers on Redis Cluster', () => {
  let redis: PrivateEngine
  let store: Store
  before(async () => {
    const cluster = await startRedisCluster()
    redis = cluster.redis
    store = new Store(
      createRedis(parseRedisUrl(cluster.nodes), () => {}),
      { namespace: 'knell', shards: 3 },
    )
    await eventually(() => store.touch(TENANT, 0), { what: 'a connection' })
  })
  after(async () => {
    store.close()
    await redis.stop()
  })

  it('outlives a kill -9 of Redis, and is judged, lent, settled and removed shard by shard', async () => {
    const handlers = new HandlerStore(store)
    const holes = new HoleStore(store, EAGER)
    const committed: StoredEntry[] = []
    const rules = new RuleStore(store, (entries) => committed.push(...entries))
    const revoke = async (sub: string): Promise<StoredEntry> => {
      const before_ = committed.length
      const change = { op: 'revoke' as const, match: { sub }, ttlSeconds: 3600, skewSeconds: 0 }
      await eventually(() => rules.revoke(TENANT, change), { what: 'a revocation' })
      const entry = committed[before_]
      if (entry === undefined) throw new Error('nothing was committed')
      await store.redis.del(store.keys.shard(TENANT, entry.shard).unsent.revocations)
      return entry
    }
    const doneOf = ({ shard, position, body }: StoredEntry): Handled => {
      const { epoch } = JSON.parse(body) as { epoch: string }
      return { ...reportOf(epoch, [[position.seq, []]]), shard }
    }
    await handlers.register(TENANT, 'orders', ['revoked', 'expired'], 5)
    await handlers.register(TENANT, 'mail', ['revoked'], 5)
    const [first, second] = [await revoke('a'), await revoke('b')]
    await handlers.report(TENANT, 'orders', [doneOf(first)])
    for (const server of await serversOf(store.redis)) await written(server)
    await redis.signal('SIGKILL')
    await redis.start()
    await eventually(() => store.touch(TENANT, 0), { what: 'a connection' })
    const third = await revoke('c')
    const open = async (service: string): Promise<number> =>
      (
        (await handlers.services(TENANT)).find((each) => each.service === service)?.marks ?? []
      ).reduce((sum, each) => sum + each.open, 0)
    const lent: string[] = []
    for (const record of await handlers.list(TENANT)) {
      for (let shard = 0; shard < 3; shard++) {
        const place: Place = { tenant: TENANT, shard, log: 'revocations', record }
        expect((await holes.scan(place, ALL_DUE)).word).to.be.oneOf(['end', 'more'])
        expect((await holes.scan(place, ALL_DUE)).word).to.equal('end')
        if (record.service !== 'orders') continue
        const claimed = (await holes.claim(place, ALL_DUE, 10)).holes
        lent.push(...claimed.map(({ body }) => body))
        const outcomes = claimed.map((hole) => ({ hole, outcome: 'closed' as const }))
        await holes.settle(place, outcomes.slice(0, 1))
      }
    }
    expect(lent).to.have.members([second.body, third.body])
    expect(await open('mail')).to.equal(3)
    await handlers.report(TENANT, 'orders', [doneOf(second), doneOf(third)])
    expect(await open('orders')).to.equal(0)
    expect(await handlers.remove(TENANT, 'mail')).to.equal(true)
    expect((await handlers.services(TENANT)).map(({ service }) => service)).to.deep.equal([
      'orders',
    ])
  }).timeout(60_000)
})
