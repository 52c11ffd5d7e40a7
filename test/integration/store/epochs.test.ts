import { expect } from 'chai'
import { cp, rm } from 'node:fs/promises'
import { termOf } from '../../../shared/domain/position.ts'
import {
  assertFacts,
  changeMaxTokenTtl,
  seedMaxTokenTtl,
  storeWarnings,
} from '../../../shared/store/facts.ts'
import { InstanceStore } from '../../../shared/store/instance-store.ts'
import { readSnapshot, joinInstance } from '../../../shared/store/snapshot.ts'
import { startRedis } from '../../../shared/cli/engines/private-redis.ts'
import type { PrivateEngine } from '../../../shared/cli/engines/private-engine.ts'
import { eventually } from '../../support/eventually.ts'
import { openTestStore, type TestStore } from '../../support/store.ts'

const TENANT = 'default'
const revoke = (sub: string) => ({
  op: 'revoke' as const,
  match: { sub },
  ttlSeconds: 3600,
  skewSeconds: 0,
})

describe('the epochs of a store', () => {
  let redis: PrivateEngine
  let test: TestStore
  beforeEach(async () => {
    redis = await startRedis()
    test = openTestStore({ shards: 1, url: redis.url, namespace: 'knell' })
    await eventually(() => test.store.touch(TENANT, 0), { what: 'a connection' })
  })
  afterEach(async () => {
    await test.close().catch(() => test.store.close())
    await redis.stop()
  })

  const tail = async (): Promise<{ epoch: string; seq: number }> => {
    const { epoch, tails } = await eventually(() => test.store.touch(TENANT, 0), {
      what: 'the store to answer',
    })
    return { epoch, seq: tails.revocations }
  }

  it('stay while the store stays', async () => {
    await test.rules.revoke(TENANT, revoke('a'))
    const first = await tail()
    await test.rules.revoke(TENANT, revoke('b'))
    expect(await tail()).to.deep.equal({ epoch: first.epoch, seq: 2 })
  })

  it('change with a restart, and numbers begin anew under a higher term', async () => {
    await test.rules.revoke(TENANT, revoke('a'))
    const before = await tail()
    await redis.signal('SIGKILL')
    await redis.start()
    const after = await tail()
    expect(termOf(after.epoch)).to.be.greaterThan(Number(termOf(before.epoch)))
    expect(after.seq).to.equal(0)
    const done = await test.rules.revoke(TENANT, revoke('b'))
    expect(done).to.include({ epoch: after.epoch, seq: 1 })
    const kept = await test.rules.get(TENANT, 0, [{ sub: 'a' }])
    expect(kept.rules[0]?.epoch).to.equal(before.epoch)
  })

  it('change when the store was emptied under a running server', async () => {
    await test.rules.revoke(TENANT, revoke('a'))
    const before = await tail()
    await test.store.redis.flushall()
    const after = await tail()
    expect(termOf(after.epoch)).to.be.greaterThan(Number(termOf(before.epoch)))
  })

  it('never give the same numbers again to a store restored from an older copy', async () => {
    await test.rules.revoke(TENANT, revoke('a'))
    const before = await tail()
    await redis.signal('SIGTERM')
    await cp(redis.dir, `${redis.dir}-copy`, { recursive: true })
    await redis.start()
    await eventually(() => test.rules.revoke(TENANT, revoke('lost')), { what: 'a revocation' })
    const lost = await tail()
    await redis.signal('SIGKILL')
    await rm(redis.dir, { recursive: true })
    await cp(`${redis.dir}-copy`, redis.dir, { recursive: true })
    await rm(`${redis.dir}-copy`, { recursive: true })
    await redis.start()
    const after = await tail()
    expect(after.seq).to.equal(0)
    expect(Number(termOf(after.epoch))).to.be.greaterThan(Number(termOf(before.epoch)))
    expect(after.epoch).not.to.equal(lost.epoch)
    const answer = await test.rules.get(TENANT, 0, [{ sub: 'a' }, { sub: 'lost' }])
    expect(answer.rules.map((rule) => rule !== undefined)).to.deep.equal([true, false])
  })

  it('end a snapshot without its end when they change midway', async () => {
    await Promise.all(
      Array.from({ length: 3000 }, (_, i) => test.rules.revoke(TENANT, revoke(`u${i}`))),
    )
    const state = await test.feed.state(TENANT)
    const pages = readSnapshot(test.store, TENANT, state)
    expect((await pages.next()).done).to.equal(false)
    await redis.signal('SIGKILL')
    await redis.start()
    await tail()
    let code: unknown
    try {
      for (;;) if ((await pages.next()).done === true) break
    } catch (error) {
      code = (error as { code: unknown }).code
    }
    expect(code).to.equal('store_epoch_changed')
  })

  it('let the store’s clock never go back: a script’s now is at least the last one recorded', async () => {
    const { at } = await test.store.touch(TENANT, 0)
    const { meta } = test.store.keys.shard(TENANT, 0)
    await test.store.redis.hset(meta, 'now', at + 60_000)
    expect((await test.store.touch(TENANT, 0)).at).to.be.at.least(at + 60_000)
  })

  it('give a commit one effect when its answer was lost and it is sent again', async () => {
    const keys = test.store.keys.shard(TENANT, 0)
    const names = [
      keys.meta,
      keys.rules,
      keys.until,
      keys.ids,
      keys.feed.revocations,
      keys.unsent.revocations,
      keys.commit('same'),
      keys.kids,
    ]
    const changes = JSON.stringify([
      { op: 'revoke', m: '{"sub":"a"}', t: 'other', r: 'other', ttl: 9, skew: 0 },
    ])
    const now = Math.floor(await test.store.now(TENANT))
    const first = await test.store.run('commit', names, [TENANT, 0, now, changes])
    const second = await test.store.run('commit', names, [TENANT, 0, now, changes])
    expect([first[0], second[0]]).to.deep.equal(['ok', 'repeated'])
    expect(second[3]).to.equal(first[3])
    expect((await tail()).seq).to.equal(1)
    names[6] = keys.commit('late')
    const late = await test.store.run('commit', names, [TENANT, 0, now - 31_000, changes])
    expect(late[0]).to.equal('commit_too_old')
    expect((await tail()).seq).to.equal(1)
  })

  it('record a joining instance before the tails are read', async () => {
    const instances = new InstanceStore(test.store, 2000)
    const puller = { service: 'api', instance: 'i-1', maxStalenessMs: 60_000, key: 'dev' }
    const state = await joinInstance(instances, test.feed, TENANT, puller)
    const [record] = (await instances.live(TENANT)).instances
    expect(record).to.include(puller)
    expect(record?.joinedAt).to.be.at.most(state.at)
  })

  it('hold a store to its schema and its number of shards', async () => {
    await assertFacts(test.store)
    const other = openTestStore({ shards: 2, url: redis.url, namespace: 'knell' })
    try {
      let message = ''
      await assertFacts(other.store).catch((error: Error) => {
        message = error.message
      })
      expect(message).to.contain('SHARDS=1')
    } finally {
      other.store.close()
    }
  })

  it('warn of what may lose revocations', async () => {
    expect(await storeWarnings(test.store)).to.deep.equal([])
    await test.store.redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
    await test.store.redis.config('SET', 'appendonly', 'no')
    const warnings = await storeWarnings(test.store)
    expect(warnings.join(' ')).to.contain('noeviction').and.contain('appendonly')
  })

  it('keep the longest token life as dated steps that settings only seed', async () => {
    expect(await seedMaxTokenTtl(test.store, TENANT, 100)).to.deep.equal([
      { from: 0, seconds: 100 },
    ])
    expect(await seedMaxTokenTtl(test.store, TENANT, 200)).to.deep.equal([
      { from: 0, seconds: 100 },
    ])
    const { steps } = await changeMaxTokenTtl(test.store, TENANT, 200)
    expect(steps).to.have.length(2)
    expect(steps[1]?.seconds).to.equal(200)
    const now = await test.now(TENANT)
    expect(Number(steps[1]?.from) - now).to.be.within(158, 161)
  })
})
