import { connect, type Channel, type ChannelModel } from 'amqplib'
import { expect } from 'chai'
import fc from 'fast-check'
import { pino } from 'pino'
import { HandlerRepair, type RepairReport } from '../../poller/handler-repair.ts'
import { Broker } from '../../shared/broker/broker.ts'
import { ensureExchanges, exchangesOf } from '../../shared/broker/topology.ts'
import { parseEntry, parseJson } from '../../shared/domain/entry.ts'
import type { Handled } from '../../shared/domain/handled.ts'
import { namesOf, serviceNamesOf, type Names } from '../../shared/domain/names.ts'
import { Relay } from '../../shared/relay/relay.ts'
import { HandlerStore } from '../../shared/store/handler-store.ts'
import { HoleStore, type Patience } from '../../shared/store/hole-store.ts'
import { toWire } from '../../shared/store/changes.ts'
import type { StoredEntry } from '../../shared/store/rule-commit.ts'
import { InstanceStore } from '../../shared/store/instance-store.ts'
import { UpkeepStore } from '../../shared/store/upkeep-store.ts'
import { eventually } from '../support/eventually.ts'
import { engineUrl, freshNamespace, openTestStore, type TestStore } from '../support/store.ts'
import { keysOf } from '../support/redis.ts'

const TENANT = 'default'
const EAGER: Patience = { graceMs: 0, baseMs: 60_000, marginMs: 0, loanMs: 10_000 }
const log = pino({ level: 'silent' })

interface Body {
  readonly shard: number
  readonly epoch: string
  readonly seq: number
  readonly events: readonly unknown[]
  readonly indexes?: readonly number[]
}

interface Delivery {
  readonly routingKey: string
  readonly id: unknown
  readonly type: unknown
  readonly seq: number
  readonly body: Record<string, unknown>
  readonly trace: unknown
}

/** A service's queue and what it brings, played by the test. */
interface Played {
  readonly name: string
  readonly got: Delivery[]
  /** What is to be lost as if it had never come. */
  lose: (delivery: Delivery) => boolean
}

describe('the repair of handlers', () => {
  let test: TestStore
  let handlers: HandlerStore
  let names: Names
  let relay: Relay
  let brokers: Broker[]
  let model: ChannelModel
  let channel: Channel
  let queues: string[]
  let sent: number
  let count = 0

  beforeEach(async () => {
    const namespace = freshNamespace()
    test = openTestStore({ shards: 2, namespace })
    handlers = new HandlerStore(test.store)
    names = namesOf(namespace)
    brokers = []
    queues = []
    sent = 0
    const broker = createBroker()
    const { feed } = test
    relay = new Relay({ feed, broker, names, tenants: [TENANT], log })
    await open(broker)
    model = await connect(engineUrl('AMQP_URL'))
    channel = await model.createChannel()
    await channel.prefetch(100)
  })

  afterEach(async () => {
    await relay.settled()
    for (const queue of queues) await channel.deleteQueue(queue)
    for (const exchange of exchangesOf(names)) await channel.deleteExchange(exchange)
    await model.close()
    for (const broker of brokers) await broker.close()
    await test.close()
  })

  const livingOf = (tenant: string): Promise<ReadonlySet<string>> =>
    new InstanceStore(test.store, 2000).living(tenant, 30_000)

  function createBroker(): Broker {
    const broker = new Broker(engineUrl('AMQP_URL'), 'test')
    broker.use((link) => ensureExchanges(link, names))
    brokers.push(broker)
    return broker
  }

  async function open(broker: Broker): Promise<void> {
    await broker.start()
    await eventually(() => broker.isUp, { what: 'a connection' })
  }

  async function openRepair(patience: Partial<Patience> = {}): Promise<HandlerRepair> {
    const broker = createBroker()
    const holes = new HoleStore(test.store, { ...EAGER, ...patience })
    const { store } = test
    const parts = { store, handlers, holes, broker, names, tenants: [TENANT], livingOf, log }
    const repair = new HandlerRepair(parts)
    await open(broker)
    return repair
  }

  async function live(service: string): Promise<void> {
    const instance = { service, instance: 'i-1', maxStalenessMs: 60_000, key: 'test' }
    await new InstanceStore(test.store, 2000).join(TENANT, instance)
  }

  async function declare(service: string): Promise<string> {
    const queue = serviceNamesOf(names, service).queue
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } })
    await channel.bindQueue(queue, names.retry, serviceNamesOf(names, service).resendKey)
    await channel.bindQueue(queue, names.revocations, `${TENANT}.revoked`)
    return queue
  }

  async function play(service: string, maxAttempts = 5): Promise<Played> {
    const played: Played = { name: service, got: [], lose: () => false }
    await handlers.register(TENANT, service, ['revoked'], maxAttempts)
    await live(service)
    const queue = await declare(service)
    queues.push(queue)
    await consume(played)
    return played
  }

  async function consume(played: Played): Promise<void> {
    await channel.consume(serviceNamesOf(names, played.name).queue, (message) => {
      if (message === null) return
      const body = parseJson(message.content.toString('utf8')) as Record<string, unknown>
      const { seq } = parseEntry(body)
      const { type, messageId: id } = message.properties as { type: unknown; messageId: unknown }
      const trace: unknown = message.properties.headers?.['traceparent']
      const delivery = { routingKey: message.fields.routingKey, type, id, seq, body, trace }
      if (!played.lose(delivery)) played.got.push(delivery)
      channel.ack(message)
    })
  }

  /** Commits so many entries of `events` events each, and publishes them. */
  async function revoke(entries: number, events = 1): Promise<void> {
    for (let i = 0; i < entries; i++) {
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
    }
    const all = test.entries.slice(sent)
    sent = test.entries.length
    expect(await relay.sendAll(all)).to.equal(all.length)
  }

  /** Tells the store that a service is done with what it was given, but for `except`. */
  async function report(
    { name, got }: Played,
    except: (delivery: Delivery) => boolean = () => false,
  ) {
    const handled = got
      .filter((delivery) => !except(delivery))
      .map(({ body, seq }): Handled => {
        const {
          shard,
          epoch,
          indexes = [],
        } = body as { shard: number; epoch: string; indexes?: number[] }
        const done = new Map([[seq, indexes]])
        return { log: 'revocations', shard, epoch, upTo: seq, done, retrying: new Map() }
      })
    await handlers.report(TENANT, name, handled)
  }

  async function openCount(service: string): Promise<number> {
    const found = (await handlers.services(TENANT)).find((each) => each.service === service)
    return (found?.marks ?? []).reduce((sum, { open }) => sum + open, 0)
  }

  const nothing: RepairReport = {
    resentEntries: 0,
    unroutableEntries: 0,
    closedEntries: 0,
    lostEntries: 0,
    openEntries: 0,
  }

  /** The time at which the only hole of a service is due. */
  async function nextTry(service: string): Promise<number> {
    for (let shard = 0; shard < 2; shard++) {
      const key = test.store.keys.shard(TENANT, shard).holes(service, 'revocations')
      const [, score] = await test.store.redis.zrange(key, 0, '-1', 'WITHSCORES')
      if (score !== undefined) return Number(score)
    }
    throw new Error('there is no hole')
  }

  /** Makes every hole due now, rather than wait. */
  async function hurry(service: string): Promise<void> {
    for (let shard = 0; shard < 2; shard++) {
      const key = test.store.keys.shard(TENANT, shard).holes(service, 'revocations')
      for (const member of await test.store.redis.zrange(key, 0, '-1')) {
        await test.store.redis.zadd(key, 0, member)
      }
    }
  }

  const received = (played: Played, number: number) =>
    eventually(() => played.got.length >= number, { what: `${number} deliveries` })

  it('sends an entry again with the trace that lies beside it', async () => {
    const orders = await play('orders')
    const repair = await openRepair()
    orders.lose = ({ routingKey }) => routingKey === 'default.revoked'
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'
    const match = { sub: 'traced' }
    const change = toWire({ op: 'revoke', match, ttlSeconds: 3600, skewSeconds: 0 })
    await test.rules.commits.commit(TENANT, 0, { ...change, w: trace })
    const [entry] = await test.feed.claimUnsent(TENANT, 'revocations', 0, 0, 1)
    expect(entry).to.include({ trace })
    expect(await relay.sendAll([entry as StoredEntry])).to.equal(1)
    await eventually(async () => (await repair.runOnce()).resentEntries === 1)
    await received(orders, 1)
    expect(orders.got[0]).to.include({ routingKey: 'orders.resend', trace })
  })

  it('sends a dropped message again, once, to that service alone and as it was', async () => {
    const [orders, mail] = [await play('orders'), await play('mail')]
    const repair = await openRepair()
    const dropped = new Set<number>()
    orders.lose = ({ seq, routingKey }) =>
      seq === 2 && routingKey === 'default.revoked' && dropped.add(seq).has(seq)
    await revoke(12)
    await received(mail, 12)
    const lost = test.entries.filter(({ position }) => position.seq === 2)
    expect(lost).not.to.have.length(0)
    await received(orders, 12 - lost.length)
    await report(orders)
    await report(mail)
    expect(await repair.runOnce()).to.deep.equal({
      ...nothing,
      resentEntries: lost.length,
      openEntries: lost.length,
    })
    await received(orders, 12)
    const again = orders.got.filter(({ routingKey }) => routingKey === 'orders.resend')
    expect(again.map(({ body }) => body)).to.have.deep.members(
      lost.map(({ body }) => parseJson(body)),
    )
    const [first] = lost
    expect(again.map(({ id }) => id)).to.include(
      `${TENANT}.revocations.${first?.shard}.${first?.position.term}-2`,
    )
    expect(again[0]?.type).to.equal('knell.revoked')
    expect(await repair.runOnce()).to.deep.equal({ ...nothing, openEntries: lost.length })
    await report(orders)
    expect(await repair.runOnce()).to.deep.equal(nothing)
    expect(mail.got).to.have.length(12)
    expect(orders.got).to.have.length(12)
    // Nothing of it is taken for something unsent.
    for (let shard = 0; shard < 2; shard++) {
      expect(await test.feed.countUnsent(TENANT, 'revocations', shard)).to.equal(0)
    }
  })

  it('repairs a deleted queue once it is there again, and counts what nobody took meanwhile', async () => {
    const orders = await play('orders')
    const repair = await openRepair({ baseMs: 1 })
    await channel.deleteQueue(serviceNamesOf(names, 'orders').queue)
    await revoke(5)
    const done = await repair.runOnce()
    expect(done).to.include({ resentEntries: 0, openEntries: 5 })
    expect(done.unroutableEntries).to.be.at.least(5)
    await declare('orders')
    await consume(orders)
    await eventually(
      async () => (await repair.runOnce()).resentEntries > 0 || orders.got.length >= 5,
    )
    await eventually(async () => {
      await repair.runOnce()
      await report(orders)
      return (await openCount('orders')) === 0
    })
    const seen = new Set(orders.got.map(({ id }) => id))
    expect(seen.size).to.equal(5)
  })

  it('repairs a removed binding', async () => {
    const orders = await play('orders')
    const repair = await openRepair()
    await channel.unbindQueue(
      serviceNamesOf(names, 'orders').queue,
      names.revocations,
      `${TENANT}.revoked`,
    )
    await revoke(3)
    expect((await repair.runOnce()).resentEntries).to.equal(3)
    await received(orders, 3)
    await report(orders)
    expect(await openCount('orders')).to.equal(0)
  })

  it('sends only the open events of an entry, with their places in it', async () => {
    const orders = await play('orders')
    const repair = await openRepair()
    await revoke(1, 20)
    const bodies = test.entries.map(({ body }) => parseJson(body) as Delivery['body'] & Body)
    const entry = bodies.find(({ events }) => events.length >= 3)
    if (entry === undefined) throw new Error('no entry has three events')
    await received(orders, bodies.length)
    const { shard, epoch, seq, events } = entry
    await report(orders, ({ body }) => body['shard'] === shard && body['seq'] === seq)
    const tell = (indexes: number[]) =>
      handlers.report(TENANT, 'orders', [
        {
          log: 'revocations',
          shard,
          epoch,
          upTo: seq,
          done: new Map([[seq, indexes]]),
          retrying: new Map(),
        },
      ])
    await tell([1])
    expect((await repair.runOnce()).resentEntries).to.equal(1)
    await received(orders, bodies.length + 1)
    const indexes = events.flatMap((_, i) => (i === 1 ? [] : [i]))
    const open = events.filter((_, i) => i !== 1)
    expect(orders.got.at(-1)?.body).to.deep.equal({ ...entry, events: open, indexes })
    await tell(indexes.slice(1))
    expect(await openCount('orders')).to.equal(1)
    await tell([0])
    expect(await openCount('orders')).to.equal(0)
  })

  it('tries again at doubling intervals, so often and no more, then makes dead letters and closes it', async () => {
    const orders = await play('orders', 3)
    const repair = await openRepair({ baseMs: 1000 })
    const { queue: dead } = await channel.assertQueue('', { exclusive: true })
    const letters: { key: string; id: unknown; body: Record<string, unknown> }[] = []
    await revoke(1)
    await received(orders, 1)
    const intervals: number[] = []
    for (let i = 0; i < 3; i++) {
      expect(await repair.runOnce()).to.deep.equal({ ...nothing, resentEntries: 1, openEntries: 1 })
      intervals.push((await nextTry('orders')) - (await test.store.touch(TENANT, 0)).at)
      expect(await repair.runOnce()).to.deep.equal({ ...nothing, openEntries: 1 })
      await received(orders, 2 + i)
      await hurry('orders')
    }
    for (const [i, interval] of intervals.entries()) {
      expect(interval).to.be.within(1000 * 2 ** i - 800, 1000 * 2 ** i)
    }
    // No queue takes the dead letter yet: it is not given up.
    expect((await repair.runOnce()).unroutableEntries).to.equal(1)
    expect(await openCount('orders')).to.equal(1)
    await channel.bindQueue(dead, names.dead, 'orders')
    await channel.consume(
      dead,
      (message) => {
        if (message === null) return
        const body = parseJson(message.content.toString('utf8')) as Record<string, unknown>
        letters.push({ key: message.fields.routingKey, id: message.properties.messageId, body })
      },
      { noAck: true },
    )
    await hurry('orders')
    expect(await repair.runOnce()).to.deep.equal({ ...nothing, closedEntries: 1, openEntries: 1 })
    await eventually(() => letters.length === 1, { what: 'a dead letter' })
    const entry = parseJson(test.entries[0]?.body ?? '') as Record<string, unknown>
    const { tenant, log, shard, epoch, seq, at, kind, events } = entry
    const key = `default.revocations.${String(shard)}.${String(epoch).split('.')[0]}-1.0`
    const { firstSeenAt, deadAt, error, ...rest } = letters[0]?.body ?? {}
    expect(rest).to.deep.equal({
      v: 1,
      service: 'orders',
      tenant,
      log,
      shard,
      epoch,
      seq,
      at,
      kind,
      index: 0,
      key,
      attempts: 3,
      event: (events as unknown[])[0],
    })
    expect(error).to.include({ code: 'not_handled', name: 'KnellError' })
    expect(Number(deadAt)).to.be.at.least(Number(firstSeenAt))
    expect(letters[0]).to.include({ key: 'orders', id: key })
    expect(await repair.runOnce()).to.deep.equal(nothing)
    expect(orders.got).to.have.length(4)
  })

  it('waits for an instance of the service before it sends anything again', async () => {
    const orders = await play('orders')
    const repair = await openRepair()
    await test.store.redis.del(test.store.keys.shard(TENANT, 0).instances)
    orders.lose = ({ routingKey }) => routingKey === 'default.revoked'
    await revoke(2)
    expect(await repair.runOnce()).to.deep.equal(nothing)
    await live('orders')
    expect((await repair.runOnce()).resentEntries).to.equal(2)
    await received(orders, 2)
  })

  it('sends each hole once though two sweeps run at once', async () => {
    const orders = await play('orders')
    const repairs = [await openRepair(), await openRepair()]
    orders.lose = ({ routingKey }) => routingKey === 'default.revoked'
    await revoke(150)
    const reports = await Promise.all(repairs.map((repair) => repair.runOnce()))
    const resent = (): number => reports.reduce((sum, one) => sum + one.resentEntries, 0)
    // A pass may begin before the other has seen all holes, or end where the queue is not empty yet.
    await eventually(
      async () => {
        reports.push(await (repairs[0] as HandlerRepair).runOnce())
        return resent() >= 150
      },
      { timeoutMs: 45_000, intervalMs: 200, what: 'every hole to be sent again' },
    )
    expect(resent()).to.equal(150)
    await received(orders, 150)
    expect(new Set(orders.got.map(({ id }) => id)).size).to.equal(150)
    expect(orders.got).to.have.length(150)
  }).timeout(60_000)

  it('leaves alone what is young, and what an instance says it still has in hand', async () => {
    const orders = await play('orders')
    const patient = await openRepair({ graceMs: 60_000 })
    const repair = await openRepair()
    await revoke(1)
    expect(await patient.runOnce()).to.deep.equal(nothing)
    const { shard, body } = test.entries[0] ?? { shard: 0, body: '' }
    const { epoch } = parseEntry(parseJson(body))
    const inHand = { log: 'revocations' as const, shard, epoch, upTo: 1, done: new Map() }
    await handlers.report(TENANT, 'orders', [{ ...inHand, retrying: new Map([[1, 600_000]]) }])
    expect(await repair.runOnce()).to.deep.equal({ ...nothing, openEntries: 1 })
    expect((await nextTry('orders')) - (await test.store.touch(TENANT, 0)).at).to.be.above(500_000)
    // Said of a hole that would be due.
    await hurry('orders')
    expect(await repair.runOnce()).to.deep.equal({ ...nothing, openEntries: 1 })
    expect((await nextTry('orders')) - (await test.store.touch(TENANT, 0)).at).to.be.above(500_000)
    expect(orders.got).to.have.length(1)
  })

  it('leaves alone what may still wait in the queue, until something later is done', async () => {
    const repair = await openRepair()
    await handlers.register(TENANT, 'orders', ['revoked'], 5)
    await live('orders')
    queues.push(await declare('orders'))
    await revoke(7)
    const { at } = await test.store.touch(TENANT, 0)
    await eventually(async () => (await test.store.touch(TENANT, 0)).at > at, { intervalMs: 1 })
    await revoke(1)
    const queue = serviceNamesOf(names, 'orders').queue
    await eventually(async () => (await channel.checkQueue(queue)).messageCount === 8)
    expect(await repair.runOnce()).to.deep.equal(nothing)
    const tellDone = async (): Promise<void> => {
      const { epoch, seq, shard } = parseEntry(parseJson(test.entries.at(-1)?.body ?? ''))
      const done = new Map([[seq, []]])
      const part = { log: 'revocations' as const, shard, epoch, upTo: seq, retrying: new Map() }
      await handlers.report(TENANT, 'orders', [{ ...part, done }])
    }
    await tellDone()
    // It may be in another instance's hands: it gets one interval more.
    expect(await repair.runOnce()).to.deep.equal({ ...nothing, openEntries: 7 })
    await hurry('orders')
    expect((await repair.runOnce()).resentEntries).to.equal(0)
    // What came after the holes were seen is done: what was queued before it has been delivered.
    await revoke(1)
    await tellDone()
    await hurry('orders')
    expect((await repair.runOnce()).resentEntries).to.equal(7)
    // Sent again, it waits behind what was in the queue then.
    await hurry('orders')
    expect((await repair.runOnce()).resentEntries).to.equal(0)
    expect((await channel.checkQueue(queue)).messageCount).to.equal(16)
  })

  it('gets everything handled, whatever messages, queues and reports are lost, with two sweeps at work', async () => {
    const orders = await play('orders', 100)
    const patience = { graceMs: 50, baseMs: 20, loanMs: 300 }
    const repairs = [await openRepair(patience), await openRepair(patience)]
    const handled = new Map<string, Set<number>>()
    const mayLose = fc.sample(fc.noBias(fc.integer({ min: 0, max: 9 })), 4000)
    let turn = 0
    const chance = (): number => mayLose[turn++ % mayLose.length] ?? 0
    // Intervals double: who loses the same entry for ever waits for ever. From the fifth time on it arrives.
    const deliveries = new Map<string, number>()
    const reports: Promise<unknown>[] = []
    orders.lose = ({ body, seq }) => {
      const { shard, epoch, events, indexes } = body as unknown as Body
      const key = `${shard}-${seq}`
      const delivered = (deliveries.get(key) ?? 0) + 1
      deliveries.set(key, delivered)
      const reliable = delivered > 4
      if (!reliable && chance() < 3) return true
      const places = indexes ?? events.map((_, index) => index)
      const half = !reliable && chance() < 4
      const did = half ? places.slice(0, Math.ceil(places.length / 2)) : places
      handled.set(key, new Set([...(handled.get(key) ?? []), ...did]))
      const part = { log: 'revocations' as const, shard, epoch, upTo: seq, retrying: new Map() }
      // A report may be lost as well, and the work is done again.
      if (reliable || chance() < 8) {
        reports.push(handlers.report(TENANT, 'orders', [{ ...part, done: new Map([[seq, did]]) }]))
      }
      return false
    }
    for (let round = 0; round < 10; round++) {
      await revoke(8, 4)
      if (round === 3) await channel.deleteQueue(serviceNamesOf(names, 'orders').queue)
      if (round === 6) {
        await declare('orders')
        await consume(orders)
      }
      await Promise.all(repairs.map((repair) => repair.runOnce()))
    }
    await eventually(
      async () => {
        await live('orders')
        await Promise.all(repairs.map((repair) => repair.runOnce()))
        await Promise.all(reports.splice(0))
        const states = await keysOf(test.store.redis, `${names.namespace}:*:s:orders:h*`)
        return states.length === 0
      },
      { timeoutMs: 90_000, what: 'everything to be handled' },
    )
    for (const { shard, position, body } of test.entries) {
      const { events } = parseJson(body) as Body
      const did = handled.get(`${shard}-${position.seq}`)
      expect([...(did ?? [])].sort((a, b) => a - b)).to.deep.equal(events.map((_, index) => index))
    }
  }).timeout(120_000)

  it('sends nothing, and counts no try, while RabbitMQ is away', async () => {
    const orders = await play('orders')
    const repair = await openRepair()
    orders.lose = ({ routingKey }) => routingKey === 'default.revoked'
    await channel.unbindQueue(
      serviceNamesOf(names, 'orders').queue,
      names.revocations,
      `${TENANT}.revoked`,
    )
    await revoke(1)
    const away = createBroker()
    const holes = new HoleStore(test.store, EAGER)
    const { store } = test
    const parts = { store, handlers, holes, names, tenants: [TENANT], livingOf, log }
    const cut = new HandlerRepair({ ...parts, broker: away })
    // Whether the queue is empty is not known, so not even a hole is.
    expect(await cut.runOnce()).to.deep.equal(nothing)
    expect((await repair.runOnce()).resentEntries).to.equal(1)
    await hurry('orders')
    expect(await cut.runOnce()).to.deep.equal({ ...nothing, openEntries: 1 })
    expect(await repair.runOnce()).to.deep.equal({ ...nothing, resentEntries: 1, openEntries: 1 })
    await received(orders, 2)
  })

  it('costs one call a shard while nothing is open, and reads no entry that was handled as a whole', async () => {
    const played = [await play('orders'), await play('mail'), await play('audit')]
    const repair = await openRepair()
    await revoke(30)
    for (const each of played) {
      await received(each, 30)
      await report(each)
    }
    const calls: string[] = []
    const { store } = test
    const run = store.run.bind(store)
    store.run = async (name, keys, args) => {
      const reply = await run(name, keys, args)
      calls.push(name)
      expect(JSON.stringify(reply).length).to.be.below(1000)
      return reply
    }
    expect(await repair.runOnce()).to.deep.equal(nothing)
    expect(calls.filter((name) => name === 'scanHandled')).to.have.length(6)
    calls.length = 0
    expect(await repair.runOnce()).to.deep.equal(nothing)
    expect(calls).to.deep.equal(['handlerState', 'handlerState'])
  })

  it('counts as lost what left the feed, and finishes a removal that was broken off', async () => {
    await play('orders')
    const repair = await openRepair()
    await revoke(4)
    const upkeep = new UpkeepStore(test.store)
    for (let shard = 0; shard < 2; shard++) {
      await upkeep.trimFeed(TENANT, 'revocations', shard, 3_600_000, 0)
    }
    expect(await repair.runOnce()).to.deep.equal({ ...nothing, lostEntries: 4 })
    expect(await repair.runOnce()).to.deep.equal(nothing)
    const { meta, services } = test.store.keys.shard(TENANT, 0)
    await test.store.run('endService', [meta, services], ['orders'])
    await repair.runOnce()
    expect(await keysOf(test.store.redis, `${names.namespace}:*:s:orders:*`)).to.deep.equal([])
    expect(await handlers.list(TENANT)).to.deep.equal([])
  })
})
