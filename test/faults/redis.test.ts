import { expect } from 'chai'
import { cp, readdir, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { createRedis } from '../../shared/store/redis.ts'
import type { RedisClient } from '../../shared/store/store.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { eventually } from '../support/eventually.ts'
import { startLoad } from '../support/load.ts'
import { scrape } from '../support/metrics.ts'
import { openProxyTo } from '../support/open-proxy-to.ts'
import { call, createSystem, dies, now, oldToken, type TestSystem } from '../support/system.ts'
import { createWitness, type Witness } from '../support/witness.ts'

/** What happens to Redis while revocations go on. */
describe('Redis', function () {
  this.timeout(120_000)
  let redis: PrivateEngine
  let admin: RedisClient
  let system: TestSystem
  let witness: Witness
  let notifier: KnellProcess
  let view: Subscriber
  const releases: (() => Promise<void>)[] = []

  beforeEach(async () => {
    redis = await startRedis()
    admin = createRedis(parseRedisUrl(redis.url), () => {})
    await begin(redis.url)
  })

  afterEach(async () => {
    await system.stop()
    admin.disconnect()
    for (const release of releases.splice(0).toReversed()) await release()
    await redis.stop()
  })

  async function begin(url: string): Promise<void> {
    system = createSystem({ REDIS_URL: url })
    witness = createWitness(system)
    notifier = await system.start('notifier')
    view = await system.subscribe()
    await eventually(() => view.stats.push === 'up', { what: 'the push path' })
  }

  const code = (claims: Record<string, unknown>): string =>
    view.check({ ...oldToken(), ...claims }).code

  async function acceptedAgain(): Promise<void> {
    const sub = 'again'
    await eventually(async () => (await witness.revoke(notifier, { sub }))?.status === 201, {
      timeoutMs: 30_000,
      what: 'revocations to be taken again',
    })
    await dies(view, { sub })
  }

  it('frozen makes calls fail in their time while views answer from memory, ever staler, and then goes on', async () => {
    await witness.revoke(notifier, { sub: 'before' })
    await dies(view, { sub: 'before' })
    await redis.signal('SIGSTOP')
    try {
      const started = performance.now()
      const answer = await witness.revoke(notifier, { sub: 'during' })
      expect([answer?.status, answer?.body['code']]).to.deep.equal([503, 'store_unavailable'])
      expect(performance.now() - started).to.be.below(20_000)
      await eventually(() => view.freshness().staleMs > 3000, { what: 'staleness to grow' })
      expect(code({ sub: 'before' })).to.equal('revoked')
      expect(code({ sub: 'other' })).to.equal('active')
      expect((await call(notifier, system.apiKey, '/readyz')).status).to.equal(503)
    } finally {
      await redis.signal('SIGCONT')
    }
    await acceptedAgain()
    await eventually(() => view.freshness().staleMs < 3000, { what: 'freshness' })
    await witness.holds(notifier, [view])
  })

  it('out of memory refuses what is new, and says so, while all that is there goes on', async () => {
    await witness.revoke(notifier, { sub: 'before' })
    await admin.set('ballast', Buffer.alloc(20_000_000))
    const register = () =>
      call(notifier, system.apiKey, '/v1/tokens', [{ claims: { jti: 'a', exp: now() + 600 } }])
    const reserved = await eventually(async () => {
      // Past 80 % of its memory tokens are not registered, so that what is left serves revocations.
      const used = Number(/used_memory:(\d+)/.exec(await admin.info('memory'))?.[1])
      await admin.config('SET', 'maxmemory', `${Math.round(used * 1.15)}`)
      const answer = await register()
      return answer.status === 503 ? answer : undefined
    })
    expect(reserved?.body['code']).to.equal('store_reserved')
    expect((await witness.revoke(notifier, { sub: 'reserve' }))?.status).to.equal(201)
    await dies(view, { sub: 'reserve' })
    await admin.config('SET', 'maxmemory', '1mb')
    const full = await witness.revoke(notifier, { sub: 'full' })
    expect([full?.status, full?.body['code']]).to.deep.equal([503, 'store_full'])
    expect(code({ sub: 'before' })).to.equal('revoked')
    expect(code({ sub: 'other' })).to.equal('active')
    const metrics = await scrape(notifier.url, system.apiKey)
    expect(metrics.value('knell_store_memory_bytes')).to.be.above(
      metrics.value('knell_store_max_memory_bytes') ?? Infinity,
    )
    await admin.config('SET', 'maxmemory', '0')
    await acceptedAgain()
    await eventually(async () => (await register()).status === 201)
    await witness.holds(notifier, [view])
  })

  it('killed under load and started again has kept all that it acknowledged', async () => {
    const load = startLoad(witness, notifier)
    try {
      await eventually(() => load.calls > 200)
      await redis.signal('SIGKILL')
      await eventually(() => witness.unknown.length > 0, { timeoutMs: 30_000 })
      await redis.start()
      const known = witness.acknowledged.length
      await eventually(() => witness.acknowledged.length > known + 100, { timeoutMs: 30_000 })
    } finally {
      await load.stop()
    }
    await witness.holds(notifier, [view])
  })

  it('forgets every script under load: each is loaded again, and no call fails', async () => {
    const load = startLoad(witness, notifier)
    try {
      for (let i = 0; i < 10; i++) {
        const before = load.calls
        await eventually(() => load.calls > before + 50)
        await admin.script('FLUSH')
      }
    } finally {
      await load.stop()
    }
    expect(witness.unknown).to.deep.equal([])
    await witness.holds(notifier, [view])
  })

  it('slow, and rewriting its file, costs time only', async () => {
    const proxy = await openProxyTo(redis.url)
    releases.push(() => proxy.close())
    const far = await system.start('notifier', { REDIS_URL: proxy.through })
    proxy.slow({ latencyMs: 250 })
    const load = startLoad(witness, far)
    try {
      await admin.bgrewriteaof()
      await eventually(() => load.calls > 100, { timeoutMs: 30_000 })
    } finally {
      await load.stop()
    }
    expect(witness.unknown).to.deep.equal([])
    await witness.holds(notifier, [view])
    await proxy.resume()
  })

  /** The file that Redis appends to. */
  async function appended(): Promise<string> {
    const folder = join(redis.dir, 'appendonlydir')
    const names = await readdir(folder)
    return join(folder, names.find((name) => name.endsWith('.incr.aof')) ?? '')
  }

  for (const what of ['the end of its log cut off', 'an older copy of its data']) {
    it(`started again with ${what} is in a new epoch; views keep what it lost, and take what is new`, async () => {
      await witness.revoke(notifier, { sub: 'kept' })
      await dies(view, { sub: 'kept' })
      const copy = join(redis.dir, 'copy')
      const data = join(redis.dir, 'appendonlydir')
      // What is cut off below is no more than this, and what comes after it.
      await admin.set('marker', 'x'.repeat(100))
      await eventually(async () => {
        const info = await admin.info('persistence')
        return info.includes('aof_buffer_length:0') && info.includes('aof_pending_bio_fsync:0')
      })
      const { size } = await stat(await appended())
      await cp(data, copy, { recursive: true })
      const epochs = await epochsOf()
      await witness.revoke(notifier, { sub: 'lost' })
      await dies(view, { sub: 'lost' })
      await redis.signal('SIGKILL')
      if (what.startsWith('an older')) {
        await rm(data, { recursive: true })
        await cp(copy, data, { recursive: true })
      } else {
        // In the midst of a command, as a machine that lost its power leaves it.
        await truncate(await appended(), size - 10)
      }
      const { snapshots } = view.stats
      await redis.start()
      await acceptedAgain()
      await eventually(() => view.stats.snapshots > snapshots, { what: 'a new snapshot' })
      expect(await epochsOf()).to.not.include.members(epochs)
      const listed = await call(notifier, system.apiKey, '/v1/revocations?sub=lost')
      expect(listed.body['rule'], 'the store has lost it').to.equal(null)
      expect([code({ sub: 'kept' }), code({ sub: 'lost' })]).to.deep.equal(['revoked', 'revoked'])
      expect(code({ sub: 'other' })).to.equal('active')
      await eventually(() => view.freshness().staleMs < 3000, { what: 'freshness' })
      // What was lost is made again, and then every view has it.
      await witness.revoke(notifier, { sub: 'lost' })
      await witness.holds(notifier, [view])
    })
  }

  async function epochsOf(): Promise<string[]> {
    return (await call(notifier, system.apiKey, '/v1/feed')).body['epochs'] as string[]
  }

  it('twice, as two primaries that both accept, leaves views with what either acknowledged', async () => {
    const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', `${redis.port}`] })
    releases.push(() => replica.stop())
    const other = createRedis(parseRedisUrl(replica.url), () => {})
    releases.push(async () => other.disconnect())
    await witness.revoke(notifier, { sub: 'both' })
    await eventually(async () => (await other.info('replication')).includes('link_status:up'))
    await eventually(async () => (await admin.wait(1, 1000)) === 1)
    await other.call('REPLICAOF', 'NO', 'ONE')
    const second = await system.start('notifier', { REDIS_URL: replica.url })
    for (let i = 0; i < 20; i++) {
      await witness.revoke(notifier, { sub: `old-${i}` })
      await witness.revoke(second, { sub: `new-${i}` })
    }
    await dies(view, { sub: 'old-19' })
    await dies(view, { sub: 'new-19' })
    // Healed: the old primary follows the new one, and with it goes all that only it had.
    await admin.call('REPLICAOF', '127.0.0.1', `${replica.port}`)
    await eventually(async () => (await admin.info('replication')).includes('link_status:up'))
    await notifier.stop()
    await dies(await system.subscribe({ pull: [second.url] }), { sub: 'new-19' })
    for (let i = 0; i < 20; i++) {
      expect(code({ sub: `old-${i}` }), `old-${i}`).to.equal('revoked')
      expect(code({ sub: `new-${i}` }), `new-${i}`).to.equal('revoked')
    }
    expect([code({ sub: 'both' }), code({ sub: 'neither' })]).to.deep.equal(['revoked', 'active'])
    // What was lost is made again, for those who start later.
    for (let i = 0; i < 20; i++) await witness.revoke(second, { sub: `old-${i}` })
    await witness.holds(second, [view])
  })

  it('with another password, or none, is told in plain words, and served once it fits', async () => {
    await admin.config('SET', 'requirepass', 'Gehe1m-one')
    const url = new URL(redis.url)
    url.password = 'Gehe1m-two'
    const refused = await system.start('notifier', { REDIS_URL: url.href }, '/livez')
    const { status, body } = await call(refused, system.apiKey, '/readyz')
    expect(status).to.equal(503)
    expect((body['store'] as { problem: string }).problem).to.match(/refuses our credentials/)
    await admin.config('SET', 'requirepass', 'Gehe1m-two')
    await eventually(async () => (await call(refused, system.apiKey, '/readyz')).status === 200, {
      timeoutMs: 20_000,
    })
    await witness.holds(refused, [view])
    expect(refused.output.join('\n')).not.to.include('Gehe1m')
  })
})
