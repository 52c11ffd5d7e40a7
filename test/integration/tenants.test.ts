import { connect as connectAmqp, type ChannelModel } from 'amqplib'
import { expect } from 'chai'
import { pino } from 'pino'
import { Broker } from '../../shared/broker/broker.ts'
import { ensureExchanges } from '../../shared/broker/topology.ts'
import { namesOf } from '../../shared/domain/names.ts'
import { formatPosition, type Log } from '../../shared/domain/position.ts'
import { FeedWatch } from '../../shared/http/feed-watch.ts'
import { Beater } from '../../shared/relay/beater.ts'
import { Drainer } from '../../shared/relay/drainer.ts'
import { Relay } from '../../shared/relay/relay.ts'
import type { StoredEntry } from '../../shared/store/rule-commit.ts'
import { eventually } from '../support/eventually.ts'
import { engineUrl, freshNamespace, openTestStore, type TestStore } from '../support/store.ts'
import { keysOf, serversOf } from '../support/redis.ts'

const log = pino({ level: 'silent' })
const FLOOD = 'flood'
const CALM = 'calm'
const MANY = Array.from({ length: 1000 }, (_, i) => `t${i}`)

describe('many tenants on one store and one broker', function () {
  this.timeout(60_000)
  let namespace: string
  let test: TestStore
  let broker: Broker
  let model: ChannelModel
  /** Routing keys in the order in which the messages came. */
  let heard: string[]

  beforeEach(async () => {
    namespace = freshNamespace()
    test = openTestStore({ namespace })
    broker = new Broker(engineUrl('AMQP_URL'), 'tenants test')
    broker.use((link) => ensureExchanges(link, namesOf(namespace)))
    heard = []
    model = await connectAmqp(engineUrl('AMQP_URL'), { noDelay: true })
  })
  afterEach(async () => {
    await broker.close()
    await model.close()
    await test.close()
  })

  function openRelay(tenants: readonly string[]): Relay {
    return new Relay({ feed: test.feed, broker, names: namesOf(namespace), tenants, log })
  }

  async function up(): Promise<void> {
    await broker.start()
    await eventually(() => broker.isUp, { what: 'the connection' })
    const channel = await model.createChannel()
    const { queue } = await channel.assertQueue('', { exclusive: true })
    for (const exchange of ['revocations', 'expiries', 'control']) {
      await channel.bindQueue(queue, `${namespace}.${exchange}`, '#')
    }
    await channel.consume(queue, (message) => heard.push(String(message?.fields.routingKey)), {
      noAck: true,
    })
  }

  const entryOf = (tenant: string, seq: number, of: Log = 'revocations'): StoredEntry => ({
    tenant,
    log: of,
    shard: 0,
    position: { term: 1, seq },
    body: `{"v":1,"tenant":"${tenant}","kind":"revoked","seq":${seq},"events":[]}`,
  })

  const revoke = (tenant: string, sub: string) =>
    test.rules.revoke(tenant, { op: 'revoke', match: { sub }, ttlSeconds: 3600, skewSeconds: 0 })

  it('sends a tenant’s entry past another’s flood', async () => {
    const relay = openRelay([FLOOD, CALM])
    await up()
    relay.send(Array.from({ length: 450 }, (_, i) => entryOf(FLOOD, i + 1)))
    relay.send([entryOf(CALM, 1)])
    await relay.settled()
    await eventually(() => heard.length === 451, { what: 'all of it' })
    expect(heard.indexOf(`${CALM}.revoked`)).to.be.within(0, 64)
  })

  it('hands a single entry to the channel before send returns', async () => {
    const relay = openRelay([FLOOD, CALM])
    await up()
    const seen = relay.stats.published
    relay.send([entryOf(CALM, 1)])
    expect(relay.sending).to.equal(1)
    await relay.settled()
    expect(relay.stats.published - seen).to.equal(1)
  })

  it('leaves what is past a tenant’s bound to the notes, and takes another’s all the same', async () => {
    const relay = openRelay([FLOOD, CALM])
    await up()
    const done = relay.sendAll(Array.from({ length: 3000 }, (_, i) => entryOf(FLOOD, i + 1)))
    expect(await relay.sendAll([entryOf(CALM, 1)])).to.equal(1)
    expect(await done).to.be.within(400, 600)
    await relay.settled()
    expect(relay.sending).to.equal(0)
  })

  it('finishes what was left of a tenant before another’s backlog is through', async () => {
    for (let i = 0; i < 1500; i++) await revoke(FLOOD, `u${i}`)
    await revoke(CALM, 'alice')
    const relay = openRelay([FLOOD, CALM])
    await up()
    const { claimed, sent } = await relay.runOnce(0)
    expect([claimed, sent]).to.deep.equal([1501, 1501])
    await eventually(() => heard.length === 1501, { what: 'all of it' })
    // One batch of each of the flood's four shards is before it, or two.
    expect(heard.indexOf(`${CALM}.revoked`)).to.be.within(0, 400)
    expect(await test.feed.withUnsent([FLOOD, CALM])).to.deep.equal([])
  })

  it('announces a tenant’s expiries before another’s millions are through', async () => {
    const { at } = await test.store.touch(CALM, 0)
    const exp = Math.floor(at / 1000) + 6
    const all = Array.from({ length: 40_000 }, (_, i) => i)
    for (let from = 0; from < all.length; from += 20_000) {
      await Promise.all(
        all
          .slice(from, from + 20_000)
          .map((i) => test.tokens.register(FLOOD, { jti: `f-${i}`, exp: exp + (i % 2) })),
      )
    }
    await test.tokens.register(CALM, { jti: 'c', exp })
    const relay = openRelay([FLOOD, CALM])
    await up()
    await eventually(async () => (await test.store.touch(CALM, 0)).at >= (exp + 1) * 1000)
    const drainer = new Drainer({
      tokens: test.tokens,
      relay,
      tenants: [FLOOD, CALM],
      backlogMax: 10_000,
    })
    const drained = await drainer.runOnce(0)
    expect(drained).to.include({ announced: 40_001, paused: 0 })
    await relay.settled()
    await eventually(() => heard.length >= 82, { what: 'all of it' })
    expect(heard.indexOf(`${CALM}.expired`)).to.be.within(0, 60)
  })

  it('drains, relays and beats for the others while the shards of one fail', async () => {
    await test.tokens.register(CALM, { jti: 'c', exp: Math.floor(Date.now() / 1000) + 2 })
    await revoke(CALM, 'alice')
    for (let shard = 0; shard < 4; shard++) {
      const { wheel, unsent } = test.store.keys.shard(FLOOD, shard)
      await test.store.redis.zadd(wheel, 1, '1')
      await test.store.redis.zadd(unsent.revocations, 1, '1-1')
      await test.store.redis.set(test.store.keys.shard(FLOOD, shard).meta, 'not a hash')
    }
    const tenants = [FLOOD, CALM]
    const relay = openRelay(tenants)
    const options = { feed: test.feed, broker, names: namesOf(namespace), intervalMs: 60, log }
    const beater = new Beater({ ...options, tenants })
    await up()
    const relayed = await relay.runOnce(0)
    expect(relayed.sent).to.equal(1)
    expect(relayed.problem).to.be.an('error')
    const drainer = new Drainer({ tokens: test.tokens, relay, tenants, backlogMax: 100 })
    await eventually(async () => (await drainer.runOnce(0)).announced === 1, { what: 'the expiry' })
    await eventually(async () => {
      await beater.runOnce()
      return beater.sent >= 3
    })
    await beater.stop()
    await relay.settled()
    await eventually(() => heard.includes(`${CALM}.beat`) && heard.includes(`${CALM}.expired`))
    expect(heard.filter((key) => key.startsWith(FLOOD))).to.deep.equal([])
  })

  it('beats for 1,000 tenants well within an interval, once each however many processes there are', async () => {
    const options = {
      feed: test.feed,
      names: namesOf(namespace),
      tenants: MANY,
      intervalMs: 2000,
      log,
    }
    const [one, two] = [new Beater({ ...options, broker }), new Beater({ ...options, broker })]
    await up()
    await Promise.all([one.runOnce(), two.runOnce()])
    expect(one.sent + two.sent).to.equal(1000)
    await eventually(() => new Set(heard).size === 1000, { what: 'a beat of each' })
    const rounds: number[] = []
    const cpus: number[] = []
    for (let round = 2; round <= 4; round++) {
      await eventually(
        async () => (await test.feed.beatsDue(MANY, 2000 * 0.95)).length === MANY.length,
      )
      const started = performance.now()
      const before = process.cpuUsage()
      await one.runOnce()
      rounds.push(performance.now() - started)
      const { user, system } = process.cpuUsage(before)
      cpus.push((user + system) / 1000)
      expect(one.sent + two.sent).to.equal(round * 1000)
    }
    const idle = performance.now()
    await one.runOnce()
    const idleMs = performance.now() - idle
    // oxlint-disable-next-line no-console -- The figure is what this is run for.
    console.log(
      `      1,000 beats in ${rounds.map(Math.round).join(', ')} ms, ${cpus.map(Math.round).join(', ')} ms of them work of this process; a look that finds none due ${Math.round(idleMs)} ms`,
    )
    // The work, not the wall's time, which others on the machine share.
    expect(Math.min(...cpus)).to.be.lessThan(1000)
    await Promise.all([one.stop(), two.stop()])
  })

  it('looks after 1,000 idle tenants at little cost', async () => {
    const relay = openRelay(MANY)
    const drainer = new Drainer({ tokens: test.tokens, relay, tenants: MANY, backlogMax: 100 })
    await up()
    await drainer.runOnce(0)
    const scripts = async (): Promise<number> => {
      const servers = await serversOf(test.store.redis)
      const stats = await Promise.all(servers.map((server) => server.info('commandstats')))
      const calls = stats.map((one) => Number(/cmdstat_evalsha:calls=(\d+)/.exec(one)?.[1] ?? 0))
      return calls.reduce((sum, count) => sum + count, 0)
    }
    const before = await scripts()
    const started = performance.now()
    await relay.runOnce(1000)
    const relayed = performance.now()
    await drainer.runOnce(0)
    const ended = performance.now()
    expect(await scripts(), 'not one script for those that have nothing').to.equal(before)
    // oxlint-disable-next-line no-console -- The figure is what this is run for.
    console.log(
      `      what was left: ${Math.round(relayed - started)} ms, the wheel: ${Math.round(ended - relayed)} ms`,
    )
  })

  it('wakes the long polls of one tenant, whoever committed, and none of the 999 others', async () => {
    // As at the start of a process: each shard has its epoch.
    await Promise.all(MANY.map((tenant) => test.feed.state(tenant)))
    const watch = new FeedWatch(test.feed, test.store.shards)
    const woken: string[] = []
    let stopped = false
    const waits = MANY.map(async (tenant) => {
      const { signal } = new AbortController()
      // The first look wakes everyone, since it finds out where the tails are.
      for (let i = 0; i < 2; i++) await watch.news(tenant, watch.mark(tenant), 30_000, signal)
      if (!stopped) woken.push(tenant)
    })
    await eventually(() => watch.mark('t999') === 1, { what: 'the first look' })
    const other = openTestStore({ namespace })
    const change = { op: 'revoke', match: { sub: 'a' }, ttlSeconds: 3600, skewSeconds: 0 } as const
    await other.rules.revoke('t5', change)
    other.store.close()
    await eventually(() => woken.length > 0, { what: 'the wake' })
    // A later one shows that nobody else was woken meanwhile.
    await eventually(() => watch.mark('t5') === 2)
    expect(woken).to.deep.equal(['t5'])
    stopped = true
    watch.stop()
    await Promise.all(waits)
  })

  it('misses no news between a read and the wait after it', async () => {
    const watch = new FeedWatch(test.feed, test.store.shards)
    const gone = new AbortController()
    const mark = watch.mark(CALM)
    watch.wake(CALM)
    const started = performance.now()
    await watch.news(CALM, mark, 30_000, gone.signal)
    expect(performance.now() - started).to.be.lessThan(10_000)
    watch.stop()
  })

  it('reads once for all that are woken by the same news at the same place', async () => {
    const watch = new FeedWatch(test.feed, test.store.shards)
    let reads = 0
    const read = async () => {
      reads += 1
      return test.feed.read(CALM, 'revocations', [], 10)
    }
    const mark = watch.mark(CALM)
    await Promise.all(
      Array.from({ length: 500 }, () => watch.readTogether(CALM, 'tip', mark, read)),
    )
    expect(reads).to.equal(1)
    await Promise.all([
      watch.readTogether(CALM, 'tip', mark, read),
      watch.readTogether(CALM, 'tip', mark + 1, read),
      watch.readTogether(CALM, 'elsewhere', mark, read),
      watch.readTogether(FLOOD, 'tip', mark, read),
    ])
    expect(reads).to.equal(5)
    watch.stop()
  })

  it('runs a script of one shard past thousands that wait for another', async () => {
    const ended: string[] = []
    const touch = async (tenant: string): Promise<void> => {
      await test.store.touch(tenant, 0)
      ended.push(tenant)
    }
    const flood = Array.from({ length: 5000 }, () => touch(FLOOD))
    await Promise.all([...flood, touch(CALM)])
    expect(ended.indexOf(CALM)).to.be.within(0, 64)
    const tooMany = Array.from({ length: 12_000 }, () =>
      touch(FLOOD).then(
        () => 'ok',
        (error: unknown) => (error as { code: string }).code,
      ),
    )
    const calm = await touch(CALM).then(() => 'ok')
    const answers = await Promise.all(tooMany)
    expect(answers).to.include('ok').and.include('too_many_requests')
    // On a slow machine some of them have no turn in time.
    expect(['ok', 'too_many_requests', 'store_unavailable']).to.include.members([
      ...new Set(answers),
    ])
    expect(calm).to.equal('ok')
  })

  it('commits past thousands of other scripts of the same shard', async () => {
    const shard = test.store.keys.shard(FLOOD, 0)
    let ended = 0
    const flood = Array.from({ length: 8000 }, async () => {
      await test.store.run('getRules', [shard.meta, shard.rules], ['{"sub":"x"}'])
      ended += 1
    })
    await Promise.all(Array.from({ length: 8 }, (_, i) => revoke(FLOOD, `u${i}`)))
    expect(ended).to.be.lessThan(4000)
    await Promise.all(flood)
  })

  it('uses no Redis key for two tenants', async () => {
    for (const tenant of [FLOOD, CALM]) {
      await revoke(tenant, 'alice')
      await test.rules.revoke(
        tenant,
        { op: 'revoke', match: { dept: 5 }, ttlSeconds: 3600, skewSeconds: 0 },
        { idempotency: { key: 'abc', body: 'def' } },
      )
      await test.tokens.register(tenant, { jti: 'j', exp: Math.floor(Date.now() / 1000) + 600 })
      await test.feed.claimUnsent(tenant, 'revocations', 0, 0, 1)
    }
    const keys = await keysOf(test.store.redis, `${namespace}:*`)
    const of = (tenant: string): string[] => keys.filter((key) => key.includes(`{${tenant}.`))
    expect(of(FLOOD).length).to.be.greaterThan(8)
    expect(of(CALM)).to.have.length(of(FLOOD).length)
    expect(of(FLOOD).length + of(CALM).length).to.equal(keys.length)
    const ids = test.entries.map(({ tenant, position }) => `${tenant} ${formatPosition(position)}`)
    expect(ids).to.have.length(4)
  })
})
