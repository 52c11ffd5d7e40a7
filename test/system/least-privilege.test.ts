import { connect as connectAmqp, type Channel, type ChannelModel } from 'amqplib'
import { expect } from 'chai'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serviceTopologyOf } from '../../shared/broker/service-topology.ts'
import { permissionsOf } from '../../shared/broker/permissions.ts'
import { policiesOf } from '../../shared/cli/topology/policies.ts'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRabbit } from '../../shared/cli/engines/private-rabbit.ts'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { namesOf } from '../../shared/domain/names.ts'
import { aclRulesOf } from '../../shared/store/acl.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { definitionsArgument } from '../support/definitions.ts'
import { topics } from '../../notifier/ops/topics.ts'
import { eventually } from '../support/eventually.ts'
import { scrape } from '../support/metrics.ts'
import { logIn, open, OWN, readEvents, send } from '../support/ops-session.ts'
import { freshNamespace } from '../support/store.ts'
import { call, createSystem, dies, oldToken, type TestSystem } from '../support/system.ts'

const namespace = freshNamespace()
const names = namesOf(namespace)

describe('the least privilege', function () {
  this.timeout(60_000)
  let rabbit: PrivateEngine
  let redis: PrivateEngine
  let system: TestSystem
  const models: ChannelModel[] = []

  before(async () => {
    const knell = permissionsOf(names, { role: 'knell' })
    const hearing = knell.permission.read.replace(`|${names.revocations.replace('.', '\\.')}`, '')
    expect(hearing).to.not.equal(knell.permission.read)
    const users = [
      { name: 'deploy', ...permissionsOf(names, { role: 'deploy' }) },
      { name: 'knell', ...knell },
      // A user whose rights are from before notifiers heard what is published.
      { name: 'deaf', ...knell, permission: { ...knell.permission, read: hearing } },
      {
        name: 'orders',
        ...permissionsOf(names, { role: 'service', service: 'orders', tenants: ['default'] }),
      },
      {
        name: 'other',
        ...permissionsOf(names, { role: 'service', service: 'other', tenants: ['t2'] }),
      },
    ]
    const policies = policiesOf(names).map((policy) => ({
      vhost: '/',
      'apply-to': 'queues',
      priority: 0,
      ...policy,
    }))
    rabbit = await startRabbit({
      args: [await definitionsArgument(users, { users: [], printed: { policies } })],
    })
    redis = await startRedis()
    const admin = createRedis(parseRedisUrl(redis.url), () => {})
    await admin.call('ACL', 'SETUSER', 'knell', 'on', '>knell', ...aclRulesOf(namespace))
    admin.disconnect()
    const { model, channel } = await as('deploy')
    for (const exchange of [names.revocations, names.expiries, names.control, names.retry]) {
      await channel.assertExchange(exchange, 'topic', { durable: true })
    }
    await channel.assertExchange(names.dead, 'topic', { durable: true })
    await model.close()
  })

  after(async () => {
    await rabbit.stop()
    await redis.stop()
  })

  afterEach(async () => {
    await Promise.all(models.splice(0).map((model) => model.close().catch(() => {})))
    await system?.stop()
  })

  function urlOf(user: string): string {
    const url = new URL(rabbit.url)
    url.username = user
    url.password = user
    return url.toString()
  }

  async function as(user: string): Promise<{ model: ChannelModel; channel: Channel }> {
    const model = await connectAmqp(urlOf(user))
    model.on('error', () => {})
    models.push(model)
    const channel = await model.createChannel()
    channel.on('error', () => {})
    return { model, channel }
  }

  async function declare(
    channel: Channel,
    { queues, bindings }: ReturnType<typeof serviceTopologyOf>,
  ): Promise<void> {
    for (const { name, arguments: args } of queues) {
      await channel.assertQueue(name, { durable: true, arguments: args })
    }
    for (const { queue, exchange, routingKey } of bindings) {
      await channel.bindQueue(queue, exchange, routingKey)
    }
  }

  /** Knell's own processes under the rights of their role. */
  function createAsKnell(more: Readonly<Record<string, string>> = {}): TestSystem {
    const redisUrl = new URL(redis.url)
    redisUrl.username = 'knell'
    redisUrl.password = 'knell'
    return createSystem({
      AMQP_URL: urlOf('knell'),
      REDIS_URL: redisUrl.toString(),
      NAMESPACE: namespace,
      ...more,
    })
  }

  /** Binds a queue of its own. */
  function bind(exchange: string, key: string): (channel: Channel) => Promise<void> {
    return async (channel) => {
      const { queue } = await channel.assertQueue('', { exclusive: true })
      await channel.bindQueue(queue, exchange, key)
    }
  }

  /** Whether RabbitMQ refuses this. Publishing is answered by the closing of the channel only. */
  async function isRefused(user: string, act: (channel: Channel) => unknown): Promise<boolean> {
    const { model } = await as(user)
    const channel = await model.createConfirmChannel()
    let code = 0
    channel.on('error', (error: { code?: number }) => {
      code = error.code ?? -1
    })
    const closed = new Promise((resolve) => channel.once('close', resolve))
    try {
      await act(channel)
      await Promise.race([closed, channel.waitForConfirms()])
    } catch {
      await closed
    }
    return code === 403 || code === 406
  }

  it('suffices for the dashboard: its sessions, its stream and the jobs', async () => {
    system = createAsKnell()
    const notifier = await system.start('notifier')
    const { cookie } = await logIn(notifier.url, system.apiKey)
    const headers = { ...OWN, cookie }
    const stream = await open(`${notifier.url}/ops/events`, { headers })
    const seen = new Set<string>()
    const events = await readEvents(stream, ({ event }) => seen.add(event).size === topics.length)
    for (const { event, data } of events) expect(data, event).to.not.include('"problem":{')
    const { status, body } = await send(`${notifier.url}/ops/jobs/api/queues`, { headers })
    expect([status, (body['queues'] as object[]).length]).to.deep.equal([200, 2])
    await send(`${notifier.url}/ops/session`, { method: 'DELETE', headers })
    expect((await send(`${notifier.url}/v1/overview`, { headers })).status).to.equal(401)
  })

  it('is enough for handlers, their retries and their dead letters, once a deploy step has declared the queues', async () => {
    const { model, channel } = await as('deploy')
    const follows = { tenants: ['default'], kinds: ['revoked'] as const }
    const topology = serviceTopologyOf(names, 'orders', follows)
    await declare(channel, topology)
    await model.close()
    system = createAsKnell()
    const notifier = await system.start('notifier')
    const service = await system.subscribe({ service: 'orders', amqp: urlOf('orders') })
    const got: string[] = []
    let fails = true
    await service.handle(
      ['revoked'],
      ({ match }, { attempt }) => {
        got.push(`${String(match['sub'])} ${attempt}`)
        if (fails) throw new Error('no')
      },
      { maxAttempts: 2 },
    )
    await call(notifier, system.apiKey, '/v1/revocations', { match: { sub: 'handled' } })
    const dead = async (): Promise<unknown[]> =>
      (await call(notifier, system.apiKey, '/v1/dead?service=orders')).body['dead'] as unknown[]
    await eventually(async () => (await dead()).length === 1, { what: 'the dead letter' })
    expect(got).to.deep.equal(['handled 1', 'handled 2'])
    fails = false
    await call(notifier, system.apiKey, '/v1/dead/replay', { service: 'orders', all: true })
    await eventually(() => got.length === 3, { what: 'the one put back' })
    expect(await dead()).to.deep.equal([])
    await service.close()
    const deploy = await as('deploy')
    for (const { name } of topology.queues) await deploy.channel.deleteQueue(name)
  })

  it('is enough for two services of two tenants, each with its own events, and for the sweep that repairs', async function () {
    this.timeout(90_000)
    const deploy = await as('deploy')
    const kinds = ['revoked', 'expired'] as const
    const theirs = { orders: 'default', other: 't2' }
    const made = Object.entries(theirs).map(([service, tenant]) =>
      serviceTopologyOf(names, service, { tenants: [tenant], kinds }),
    )
    for (const topology of made) await declare(deploy.channel, topology)
    const file = join(await mkdtemp(join(tmpdir(), 'knell-tenants-')), 'tenants.json')
    await writeFile(file, '{"default":{},"t2":{}}')
    system = createAsKnell({ TENANTS_FILE: file })
    const notifier = await system.start('notifier')
    await system.start('poller')
    const got: Record<string, string[]> = { orders: [], other: [] }
    for (const [service, tenant] of Object.entries(theirs)) {
      const subscriber = await system.subscribe({
        service,
        tenants: [tenant],
        amqp: urlOf(service),
      })
      await subscriber.handle([...kinds], (event) => {
        got[service]?.push('jti' in event ? event.jti : String(event.match['sub']))
      })
    }
    const revoke = (tenant: string, sub: string): Promise<unknown> =>
      call(notifier, system.apiKey, '/v1/revocations', { tenant, match: { sub } })
    const exp = Math.floor(Date.now() / 1000) + 2
    for (const tenant of ['default', 't2']) {
      await revoke(tenant, `of ${tenant}`)
      await call(notifier, system.apiKey, '/v1/tokens', {
        tenant,
        claims: { jti: `soon ${tenant}`, exp },
      })
    }
    await eventually(() => got['orders']?.length === 2 && got['other']?.length === 2, {
      timeoutMs: 15_000,
      what: 'both services to handle both events',
    })
    expect(got).to.deep.equal({
      orders: ['of default', 'soon default'],
      other: ['of t2', 'soon t2'],
    })
    await deploy.channel.unbindQueue(
      `${namespace}.service.orders`,
      names.revocations,
      'default.revoked',
    )
    await revoke('default', 'lost')
    await eventually(() => got['orders']?.includes('lost') === true, {
      timeoutMs: 50_000,
      what: 'the sweep to send it again',
    })
    for (const { queues } of made) {
      for (const { name } of queues) await deploy.channel.deleteQueue(name)
    }
  })

  it('is enough for the whole system', async () => {
    system = createAsKnell()
    const notifier = await system.start('notifier')
    await system.start('poller')
    const service = await system.subscribe({ service: 'orders', amqp: urlOf('orders') })
    const expired: string[] = []
    service.on('expired', ({ jti }) => expired.push(jti))
    await eventually(() => service.stats.push === 'up')
    const exp = Math.floor(Date.now() / 1000) + 2
    await call(notifier, system.apiKey, '/v1/tokens', { claims: { jti: 'soon', exp } })
    const { body } = await call(notifier, system.apiKey, '/v1/revocations', {
      match: { sub: 'alice' },
      wait: { for: 'all', timeoutMs: 10_000 },
    })
    expect(body['enforced']).to.include({ done: true, live: 1, applied: 1 })
    await dies(service, { sub: 'alice' })
    await eventually(() => expired.includes('soon'))
    const { body: listed } = await call(notifier, system.apiKey, '/v1/subscribers')
    expect((listed['subscribers'] as { user?: string }[])[0]?.user).to.equal('orders')
    expect(service.check({ ...oldToken(), sub: 'bob' }).code).to.equal('active')
    const swept = await call(notifier, system.apiKey, '/v1/sweeps', { wait: true })
    expect(swept.status, JSON.stringify(swept.body)).to.equal(200)
    expect((await call(notifier, system.apiKey, '/v1/due')).status).to.equal(200)
    const { body: trail } = await call(notifier, system.apiKey, '/v1/audit')
    const actions = (trail['audit'] as { action: string }[]).map(({ action }) => action)
    expect(actions).to.include.members(['sweep', 'revoke'])
  })

  it('lets a service bind its own tenants only, and no wildcard', async () => {
    expect(await isRefused('orders', bind(names.revocations, 'default.*'))).to.equal(false)
    for (const key of ['default.revoked', 'default.restored']) {
      expect(await isRefused('orders', bind(names.revocations, key)), key).to.equal(false)
    }
    for (const key of [
      '',
      'default',
      'default.expired',
      'DEFAULT.*',
      'default.*.*',
      'default.**',
    ]) {
      expect(await isRefused('orders', bind(names.revocations, key)), key).to.equal(true)
    }
    for (const key of ['t2.*', '#', '*.revoked', '*.*', 'defaultx.revoked', 'default.#']) {
      expect(await isRefused('orders', bind(names.revocations, key)), key).to.equal(true)
      expect(await isRefused('orders', bind(names.expiries, key)), key).to.equal(true)
    }
    for (const key of ['default.ack.orders', 'default.ack.other', '*.beat', '#', 't2.beat']) {
      expect(await isRefused('orders', bind(names.control, key)), key).to.equal(true)
    }
    expect(await isRefused('orders', bind(names.retry, 'orders.now'))).to.equal(true)
    expect(await isRefused('orders', bind(names.dead, 'orders'))).to.equal(true)
  })

  it('lets a service publish its acks, retries and dead letters, and nothing else', async () => {
    const publish =
      (exchange: string, key: string, options = {}) =>
      (channel: Channel): void => {
        channel.publish(exchange, key, Buffer.from('{}'), options)
      }
    expect(await isRefused('orders', publish(names.control, 'default.ack.orders'))).to.equal(false)
    expect(await isRefused('orders', publish(names.retry, 'orders.1'))).to.equal(false)
    expect(await isRefused('orders', publish(names.dead, 'orders'))).to.equal(false)
    const refused: [string, string][] = [
      [names.revocations, 'default.revoked'],
      [names.expiries, 'default.expired'],
      [names.control, 'default.beat'],
      [names.control, 't2.ack.orders'],
      [names.control, 'default.ack.other'],
      [names.control, '_all.ack.orders'],
      [names.control, 'default.ack.orders2'],
      [names.retry, 'orders.resend'],
      [names.retry, 'orders2.now'],
      [names.retry, 'orders.6'],
      [names.retry, 'other.now'],
      [names.dead, 'other'],
      ['', `${namespace}.service.orders`],
    ]
    for (const [exchange, key] of refused) {
      expect(await isRefused('orders', publish(exchange, key)), `${exchange} ${key}`).to.equal(true)
    }
    const forged = publish(names.control, 'default.ack.orders', { userId: 'other' })
    expect(await isRefused('orders', forged), 'another user’s name').to.equal(true)
  })

  it('cannot make an old RabbitMQ check further routing keys of a message, as a new one does', async () => {
    const { model } = await as('guest')
    const version = model.connection.serverProperties.version
    const further = (channel: Channel): void => {
      const headers = { CC: ['other.now'] }
      channel.publish(names.retry, 'orders.1', Buffer.from('{}'), { headers })
    }
    // This is what docs/security.md warns of: only signed entries help there.
    expect(await isRefused('orders', further)).to.equal(!version.startsWith('3.'))
  })

  it('lets the deploy step and the processes publish nothing that is not theirs', async () => {
    const publish =
      (exchange: string, key: string) =>
      (channel: Channel): void => {
        channel.publish(exchange, key, Buffer.from('{}'))
      }
    const every: [string, string][] = [
      [names.revocations, 'default.revoked'],
      [names.expiries, 'default.expired'],
      [names.control, 'default.beat'],
      [names.retry, 'orders.now'],
      [names.dead, 'orders'],
    ]
    for (const [exchange, key] of every) {
      expect(await isRefused('deploy', publish(exchange, key)), key).to.equal(true)
      expect(await isRefused('knell', publish(exchange, key)), key).to.equal(false)
    }
    for (const key of ['default.ack.orders', 'default.revoked']) {
      expect(await isRefused('knell', publish(names.control, key)), key).to.equal(true)
    }
  })

  it('lets a notifier hear what is published, which it can do without', async () => {
    system = createAsKnell()
    const hears = await system.start('notifier')
    const deaf = await system.start('notifier', { AMQP_URL: urlOf('deaf') })
    const view = await system.subscribe({ amqp: urlOf('orders'), service: 'orders' })
    const { status } = await call(deaf, system.apiKey, '/v1/revocations', { match: { sub: 'x' } })
    expect(status).to.equal(201)
    await dies(view, { sub: 'x' })
    await eventually(async () => {
      const found = await scrape(hears.url, system.apiKey)
      return (found.value('knell_push_seconds_count') ?? 0) > 0
    })
    const found = await scrape(deaf.url, system.apiKey)
    expect(found.value('knell_push_seconds_count')).to.equal(0)
    expect(found.value('knell_broker_up')).to.equal(1)
    expect(await isRefused('deaf', bind(names.revocations, '*.*'))).to.equal(true)
    expect(await isRefused('knell', bind(names.revocations, '*.*'))).to.equal(false)
    expect(await isRefused('knell', bind(names.revocations, 'default.*'))).to.equal(true)
    expect(await isRefused('knell', bind(names.expiries, '*.*'))).to.equal(true)
  })

  it('takes nothing but names into its regular expressions', () => {
    const of =
      (service: string, ...tenants: string[]) =>
      (): unknown =>
        permissionsOf(names, { role: 'service', service, tenants })
    expect(of('.*', 'default')).to.throw(TypeError)
    for (const tenant of ['.*', 'a|b', '_all', '', 'a\n']) {
      expect(of('orders', tenant), tenant).to.throw(TypeError)
    }
    expect(of('orders')).to.throw(TypeError)
    const many = Array.from({ length: 17 }, (_, i) => `t${i}`)
    const { topics } = permissionsOf(names, { role: 'service', service: 'orders', tenants: many })
    const acks = topics.find(({ exchange }) => exchange === names.control)
    expect('_all.ack.orders').to.match(new RegExp(String(acks?.write)))
  })

  it('lets nobody but the deploy step declare what lasts, or reach another’s queue', async () => {
    const { channel } = await as('deploy')
    for (const queue of [`${namespace}.service.orders`, `${namespace}.service.other`]) {
      await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } })
    }
    const consume = (queue: string) => (ch: Channel) => ch.consume(queue, () => {})
    expect(await isRefused('orders', consume(`${namespace}.service.other`))).to.equal(true)
    expect(await isRefused('knell', consume(`${namespace}.service.other`))).to.equal(true)
    expect(await isRefused('orders', (ch) => ch.purgeQueue(`${namespace}.service.other`))).to.equal(
      true,
    )
    expect(
      await isRefused('orders', (ch) => ch.deleteQueue(`${namespace}.service.orders`)),
    ).to.equal(true)
    expect(await isRefused('orders', (ch) => ch.deleteExchange(names.revocations))).to.equal(true)
    const declare = (ch: Channel) =>
      ch.assertQueue(`${namespace}.service.orders2`, { durable: true })
    for (const user of ['orders', 'knell']) {
      expect(await isRefused(user, declare), user).to.equal(true)
    }
    // No queue of one's own may pass anything on past the exchanges, nor into the entries.
    for (const exchange of ['', names.revocations, names.expiries]) {
      const through = (ch: Channel) =>
        ch.assertQueue('', { exclusive: true, arguments: { 'x-dead-letter-exchange': exchange } })
      expect(await isRefused('orders', through), `through "${exchange}"`).to.equal(true)
    }
    const lock = (ch: Channel) =>
      ch.assertQueue(`${namespace}.service.orders.dead.lock`, { exclusive: true })
    expect(await isRefused('orders', lock)).to.equal(true)
    // What rights cannot prevent, docs/security.md says: copies for another service, and queues without a name.
    const copies = (ch: Channel) =>
      ch.assertQueue('', {
        exclusive: true,
        deadLetterExchange: names.retry,
        deadLetterRoutingKey: 'other.now',
      })
    expect(await isRefused('orders', copies)).to.equal(false)
    const lasting = async (ch: Channel): Promise<void> => {
      const { queue } = await ch.assertQueue('', { durable: true })
      await ch.deleteQueue(queue)
    }
    expect(await isRefused('orders', lasting)).to.equal(false)
    const direct = (ch: Channel): void => {
      ch.sendToQueue(`${namespace}.service.orders`, Buffer.from('{}'))
    }
    expect(await isRefused('knell', direct), 'past the exchanges').to.equal(true)
    expect(await isRefused('orders', direct), 'past the exchanges').to.equal(true)
  })

  it('lets the processes touch no other key, and neither empty nor reconfigure the store', async () => {
    const url = new URL(redis.url)
    url.username = 'knell'
    url.password = 'knell'
    const client = createRedis(parseRedisUrl(url.toString()), () => {})
    const isDenied = async (...command: [string, ...string[]]): Promise<boolean> => {
      try {
        await client.call(...command)
        return false
      } catch (error) {
        return String(error).includes('NOPERM')
      }
    }
    try {
      expect(await isDenied('HGET', `${namespace}:{default.0}:meta`, 'term')).to.equal(false)
      const denied: [string, ...string[]][] = [
        ['GET', 'another-application'],
        ['SET', `${namespace}x:key`, '1'],
        ['FLUSHALL'],
        ['CONFIG', 'SET', 'appendonly', 'no'],
        ['KEYS', '*'],
        ['SCAN', '0'],
        ['RANDOMKEY'],
        ['SHUTDOWN'],
        ['CLIENT', 'KILL', 'TYPE', 'normal'],
        ['REPLICAOF', 'NO', 'ONE'],
        ['ACL', 'LIST'],
        ['SUBSCRIBE', 'anything'],
      ]
      for (const command of denied) {
        expect(await isDenied(...command), command.join(' ')).to.equal(true)
      }
    } finally {
      client.disconnect()
    }
  })
})
