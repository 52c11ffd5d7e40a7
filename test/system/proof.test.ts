import { connect as connectAmqp } from 'amqplib'
import { expect } from 'chai'
import { once } from 'node:events'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { openProxy, type Proxy } from '../../shared/testing/tcp-proxy.ts'
import { startAgent, type Agent } from '../support/agents.ts'
import { eventually } from '../support/eventually.ts'
import { engineUrl } from '../support/store.ts'
import { call, createSystem, oldToken, type TestSystem } from '../support/system.ts'

interface Enforced {
  done: boolean
  live: number
  applied: number
  missing: { service: string; instance: string; lastSeenMs: number; behind: number | null }[]
  ms: number
}

describe('proof of enforcement', () => {
  let system: TestSystem
  const agents: Agent[] = []
  const proxies: Proxy[] = []

  async function agent(
    ...args: Parameters<typeof startAgent> extends [unknown, ...infer R] ? R : never
  ): Promise<Agent> {
    const started = await startAgent(system, ...args)
    agents.push(started)
    return started
  }

  beforeEach(() => {
    system = createSystem()
  })

  afterEach(async () => {
    await Promise.all(agents.splice(0).map((each) => each.end()))
    await system.stop()
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()))
  })

  async function revoke(
    notifier: KnellProcess,
    sub: string,
    wait: Record<string, unknown>,
  ): Promise<Enforced> {
    const body = { match: { sub }, wait: { for: 'all', timeoutMs: 10_000, ...wait } }
    const answer = await call(notifier, system.apiKey, '/v1/revocations', body)
    expect(answer.status, JSON.stringify(answer.body)).to.equal(201)
    return answer.body['enforced'] as Enforced
  }

  async function subscribers(notifier: KnellProcess): Promise<Record<string, unknown>[]> {
    const { body } = await call(notifier, system.apiKey, '/v1/subscribers')
    return body['subscribers'] as Record<string, unknown>[]
  }

  it('answers when every live instance refuses the token', async () => {
    const notifier = await system.start('notifier')
    const services = await Promise.all(
      ['orders', 'orders', 'billing'].map((service) => system.subscribe({ service })),
    )
    const enforced = await revoke(notifier, 'alice', {})
    expect(enforced).to.include({ done: true, live: 3, applied: 3 })
    expect(enforced.missing).to.deep.equal([])
    for (const service of services) {
      expect(service.check({ ...oldToken(), sub: 'alice' }).code).to.equal('revoked')
    }
    expect(await revoke(notifier, 'bob', { services: ['billing'] })).to.include({
      done: true,
      live: 1,
    })
    expect(await revoke(notifier, 'carol', { for: 2 })).to.include({ done: true, live: 3 })
    const listed = await subscribers(notifier)
    expect(listed.map(({ service }) => service)).to.deep.equal(['billing', 'orders', 'orders'])
    await eventually(async () => (await subscribers(notifier)).every(({ behind }) => behind === 0))
  })

  it('is not claimed for what was undone meanwhile, nor of a service that nobody is', async () => {
    const notifier = await system.start('notifier')
    await system.subscribe({ service: 'orders' })
    const body = { match: { sub: 'alice' }, wait: { for: 'all', timeoutMs: 10_000 } }
    const key = { 'idempotency-key': 'one' }
    const first = await call(notifier, system.apiKey, '/v1/revocations', body, key)
    expect(first.body['enforced']).to.include({ done: true, live: 1 })
    await call(notifier, system.apiKey, '/v1/revocations/restore', { id: first.body['id'] })
    const again = await call(notifier, system.apiKey, '/v1/revocations', body, key)
    expect(again.body['enforced']).to.include({ done: false, lifted: true })
    const typo = await revoke(notifier, 'bob', { services: ['orders', 'ordres'] })
    expect(typo).to.deep.include({ done: false, live: 1, applied: 1, absent: ['ordres'] })
  })

  it('says at once that nobody is live, and that fewer than asked for are', async () => {
    const notifier = await system.start('notifier')
    expect(await revoke(notifier, 'alice', {})).to.include({ done: true, live: 0 })
    expect(await revoke(notifier, 'bob', { for: 1, timeoutMs: 300 })).to.include({
      done: false,
      live: 0,
    })
  })

  it('names a paused instance, which refuses nothing yet, and counts it once it goes on', async () => {
    const notifier = await system.start('notifier')
    await system.subscribe({ service: 'orders' })
    const paused = await agent()
    expect(await revoke(notifier, 'first', {})).to.include({ done: true, live: 2 })
    paused.kill('SIGSTOP')
    const enforced = await revoke(notifier, 'alice', { timeoutMs: 1500 })
    expect(enforced).to.include({ done: false, live: 2, applied: 1 })
    expect(enforced.missing).to.have.length(1)
    expect(enforced.missing[0]).to.include({ service: 'agent', instance: paused.instance })
    expect(enforced.missing[0]?.behind).to.be.greaterThan(0)
    setTimeout(() => paused.kill('SIGCONT'), 500)
    expect(await revoke(notifier, 'bob', {})).to.include({ done: true, live: 2, applied: 2 })
    expect((await paused.check({ ...oldToken(), sub: 'alice' })).code).to.equal('revoked')
  })

  it('waits for an instance that died without a word only until it could no longer let anyone in', async () => {
    const notifier = await system.start('notifier')
    const doomed = await agent({ maxStaleness: 2500 })
    const unlimited = await agent({ service: 'lenient', whenStale: 'allow' })
    expect(await revoke(notifier, 'first', {})).to.include({ done: true, live: 2 })
    await doomed.end()
    const early = await revoke(notifier, 'early', { timeoutMs: 500 })
    expect(early.missing.map(({ instance }) => instance)).to.deep.equal([doomed.instance])
    expect(await revoke(notifier, 'late', {})).to.include({ done: true, live: 1 })
    await unlimited.end()
    const named = await revoke(notifier, 'named', { timeoutMs: 300 })
    expect(named.missing.map(({ instance }) => instance)).to.deep.equal([unlimited.instance])
    const removed = await fetch(
      `${notifier.url}/v1/subscribers?service=lenient&instance=${unlimited.instance}`,
      {
        method: 'DELETE',
        headers: { authorization: `Bearer ${system.apiKey}`, connection: 'close' },
      },
    )
    expect(await removed.json()).to.deep.equal({ removed: 1 })
    expect(await revoke(notifier, 'after', {})).to.include({ done: true, live: 0 })
  })

  it('does not wait for one that has said good-bye, which then lets nobody in', async () => {
    const notifier = await system.start('notifier')
    const [stays, leaves] = [await system.subscribe(), await system.subscribe()]
    const token = { ...oldToken(), sub: 'alice' }
    expect(leaves.check(token).code).to.equal('active')
    await leaves.close()
    expect(leaves.check(token)).to.include({ active: false, code: 'stale' })
    expect(await revoke(notifier, 'alice', {})).to.include({ done: true, live: 1 })
    expect(stays.check(token).code).to.equal('revoked')
  })

  it('knows every instance after a restart of the notifier', async () => {
    const first = await system.start('notifier')
    await system.start('poller')
    const sub = await system.subscribe()
    expect(await revoke(first, 'first', {})).to.include({ done: true, live: 1 })
    await first.kill()
    const second = await system.start('notifier')
    const enforced = await revoke(second, 'alice', {})
    expect(enforced).to.include({ done: true, live: 1, applied: 1 })
    expect(sub.check({ ...oldToken(), sub: 'alice' }).code).to.equal('revoked')
  })

  it('is told of an instance that cannot pull only where that one may let tokens in', async () => {
    const notifier = await system.start('notifier')
    const without = { pull: ['http://127.0.0.1:9'], waitReady: false }
    const strict = await system.subscribe({ service: 'strict', ...without })
    await once(strict, 'push')
    const lenient = { service: 'lenient', whenStale: 'allow', ...without } as const
    await system.subscribe(lenient)
    const namesOf = async (): Promise<unknown[]> =>
      (await subscribers(notifier)).map(({ service }) => service)
    await eventually(async () => (await namesOf()).includes('lenient'), { timeoutMs: 20_000 })
    // Whoever hears a beat acks within a quarter of it, so both that do have by the fifth.
    const timeOf = async (): Promise<number> =>
      Number((await call(notifier, system.apiKey, '/v1/subscribers')).body['at'])
    const at = await timeOf()
    await eventually(async () => (await timeOf()) - at > 5 * 500, { what: 'five beats' })
    expect(await namesOf()).to.deep.equal(['lenient'])
  })

  it('is given by pulls while RabbitMQ is away from the services', async () => {
    const notifier = await system.start('notifier')
    const amqp = new URL(engineUrl('AMQP_URL'))
    const proxy = await openProxy({ target: { host: amqp.hostname, port: Number(amqp.port) } })
    proxies.push(proxy)
    const sub = await system.subscribe({ amqp: proxy.url(amqp.href) })
    await eventually(() => sub.stats.push === 'up')
    await proxy.cut()
    await eventually(() => sub.stats.push === 'down', { timeoutMs: 15_000 })
    expect(await revoke(notifier, 'alice', {})).to.include({ done: true, live: 1, applied: 1 })
    expect(sub.check({ ...oldToken(), sub: 'alice' }).code).to.equal('revoked')
  })

  it('is not given by a store that was emptied before it has heard of the living again', async () => {
    const redis = await startRedis()
    const admin = createRedis(parseRedisUrl(redis.url), () => {})
    try {
      system = createSystem({ REDIS_URL: redis.url })
      const notifier = await system.start('notifier')
      const service = await system.subscribe()
      expect(await revoke(notifier, 'first', {})).to.include({ done: true, live: 1 })
      await admin.flushall()
      const enforced = await revoke(notifier, 'alice', {})
      expect(enforced).to.include({ done: true, live: 1, applied: 1 })
      expect(service.check({ ...oldToken(), sub: 'alice' }).code).to.equal('revoked')
    } finally {
      admin.disconnect()
      await system.stop()
      await redis.stop()
    }
  })

  it('takes no ack without a user, of another key, or for another’s instance', async () => {
    const poller = await system.start('poller', {
      API_KEYS: `${system.env['API_KEYS']} other=othersecretothersecret:feed:read`,
    })
    const notifier = await system.start('notifier')
    const paused = await agent()
    expect(await revoke(notifier, 'first', {})).to.include({ done: true, live: 1 })
    paused.kill('SIGSTOP')
    const { body: feed } = await call(notifier, system.apiKey, '/v1/feed')
    const tails = (feed['tails'] as { epoch: string; seq: number }[]).map(({ epoch, seq }) => ({
      epoch,
      seq: seq + 1000,
    }))
    const ack = {
      v: 1,
      tenant: 'default',
      service: 'agent',
      instance: paused.instance,
      at: Date.now(),
      state: 'ready',
      applied: { revocations: tails },
      staleMs: 0,
      maxStalenessMs: 60_000,
    }
    const model = await connectAmqp(engineUrl('AMQP_URL'))
    const channel = await model.createConfirmChannel()
    channel.publish(
      `${system.namespace}.control`,
      'default.ack.agent',
      Buffer.from(JSON.stringify(ack)),
    )
    await channel.waitForConfirms()
    await model.close()
    const forged = await call(poller, 'othersecretothersecret', '/v1/acks', ack)
    expect(forged.status).to.equal(403)
    expect(forged.body['code']).to.equal('foreign_instance')
    const enforced = await revoke(notifier, 'alice', { timeoutMs: 1000 })
    expect(enforced).to.include({ done: false, live: 1, applied: 0 })
  })
})
