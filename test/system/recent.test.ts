import { expect } from 'chai'
import { generateKeyPairSync } from 'node:crypto'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { openProxy, type Proxy } from '../../shared/testing/tcp-proxy.ts'
import { startAgent, type Agent } from '../support/agents.ts'
import { eventually } from '../support/eventually.ts'
import { openHostile } from '../support/hostile.ts'
import { scrape } from '../support/metrics.ts'
import { engineUrl } from '../support/store.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

interface Recent {
  at: number
  shard: number
  epoch: string
  seq: number
  kind: string
  match: Record<string, string>
  reason?: string
  live: number
  applied: number
  missing: { service: string; instance: string }[]
  pushMs: number | null
  enforcedMs: number | null
}

interface Overview {
  at: number
  enforced: {
    verdict: string
    reason: string
    live: number
    stale: number
    slowest: { service: string; instance: string; behind: number | null } | null
  }
  push: { p50Ms: number | null; p99Ms: number | null; count: number; hour: { count: number }[] }
  expiriesPerSecond: number | null
  sweeps: { caught: number; lastAt: number | null } | null
  outbox: { revocations: { unsent: number } } | null
  broker: { up: boolean }
  store: { up: boolean }
}

describe('what is recent, and the overview', function () {
  this.timeout(90_000)
  let system: TestSystem
  let notifier: KnellProcess
  let other: KnellProcess
  let amqp: Proxy
  let redis: Proxy
  const agents: Agent[] = []

  before(async () => {
    system = createSystem()
    const proxies = await Promise.all(
      (['AMQP_URL', 'REDIS_URL'] as const).map(async (name) => {
        const { hostname: host, port } = new URL(engineUrl(name))
        return openProxy({ target: { host, port: Number(port) } })
      }),
    )
    ;[amqp, redis] = proxies as [Proxy, Proxy]
    notifier = await system.start('notifier', {
      AMQP_URL: amqp.url(engineUrl('AMQP_URL')),
      REDIS_URL: redis.url(engineUrl('REDIS_URL')),
    })
    other = await system.start('notifier')
    await system.start('poller')
    // What was published while their ears were not there yet is not heard.
    for (const process of [notifier, other]) {
      await eventually(async () => (await overview(process)).broker.up)
    }
  })
  after(async () => {
    await Promise.all(agents.map((agent) => agent.end()))
    await system.stop()
    await amqp.close()
    await redis.close()
  })

  async function revoke(sub: string, at: KnellProcess = notifier): Promise<void> {
    const body = { match: { sub }, reason: 'logout' }
    expect((await call(at, system.apiKey, '/v1/revocations', body)).status).to.equal(201)
  }

  async function recent(sub: string, at: KnellProcess = notifier): Promise<Recent> {
    const { body } = await call(at, system.apiKey, '/v1/recent?limit=500')
    const found = (body['recent'] as Recent[]).find(({ match }) => match['sub'] === sub)
    if (found === undefined) throw new Error(`${sub} is not recent`)
    return found
  }

  async function overview(at: KnellProcess = notifier): Promise<Overview> {
    const { status, body } = await call(at, system.apiKey, '/v1/overview')
    expect(status).to.equal(200)
    return body as unknown as Overview
  }

  it('is in order where nobody listens, and says so', async () => {
    await revoke('nobody-listens')
    expect(await recent('nobody-listens')).to.include({
      kind: 'revoked',
      reason: 'logout',
      live: 0,
      applied: 0,
      enforcedMs: null,
    })
    // At first the store cannot know yet that nobody is there.
    const { store, broker } = await eventually(async () => {
      const seen = await overview()
      expect(seen.enforced).to.include({ verdict: 'ok', live: 0, slowest: null })
      return seen
    })
    expect([store.up, broker.up]).to.deep.equal([true, true])
  })

  it('tells every notifier, whoever committed, how soon it was pushed and enforced', async () => {
    await Promise.all([
      system.subscribe({ service: 'orders' }),
      system.subscribe({ service: 'billing' }),
    ])
    await revoke('alice')
    // Of revocations in quick succession only the first asks for acks.
    await eventually(
      async () => {
        await revoke(`asked-${Math.random()}`)
        const metrics = await scrape(notifier.url, system.apiKey)
        return (metrics.value('knell_revocation_enforced_seconds_count') ?? 0) > 0
      },
      { intervalMs: 250, timeoutMs: 20_000 },
    )
    for (const process of [notifier, other]) {
      const found = await eventually(async () => {
        const one = await recent('alice', process)
        expect(one).to.include({ live: 2, applied: 2 })
        expect(one.enforcedMs).to.be.a('number')
        return one
      })
      expect(found.missing).to.deep.equal([])
      expect(found.pushMs).to.be.within(0, 5000)
      expect(found.enforcedMs).to.be.within(0, 10_000)
      const metrics = await scrape(process.url, system.apiKey)
      expect(metrics.value('knell_push_seconds_count')).to.be.at.least(2)
      expect(metrics.value('knell_revocation_enforced_seconds_count')).to.be.at.least(1)
    }
    const { push, enforced } = await eventually(async () => {
      const seen = await overview()
      expect(seen.enforced).to.include({ verdict: 'ok', live: 2, stale: 0 })
      expect(seen.enforced.reason).to.equal('All 2 live instances are up to date.')
      return seen
    })
    expect(push.count).to.be.at.least(2)
    expect(push.p99Ms).to.be.at.least(push.p50Ms ?? Infinity)
    expect(enforced.slowest?.behind).to.equal(0)
  })

  it('asks for acks once per beat interval, and hears of enforcement long before the next beat', async () => {
    const slow = createSystem({ BEAT: '30s' })
    try {
      const process = await slow.start('notifier')
      const view = await slow.subscribe()
      await eventually(() => view.stats.push === 'up')
      const applied = async (sub: string): Promise<number | undefined> => {
        const { body } = await call(process, slow.apiKey, '/v1/recent')
        return (body['recent'] as Recent[]).find(({ match }) => match['sub'] === sub)?.applied
      }
      for (const sub of ['calm', 'busy', 'busier']) {
        await call(process, slow.apiKey, '/v1/revocations', { match: { sub } })
      }
      await eventually(async () => (await applied('calm')) === 1)
      expect(await applied('busier')).to.be.within(0, 1)
      const { body } = await call(process, slow.apiKey, '/v1/feed?after=0-0,0-0,0-0,0-0')
      const entries = body['entries'] as { ack?: true }[]
      expect(entries.length).to.be.within(2, 3)
      expect(entries.filter(({ ack }) => ack === true)).to.have.length(1)
    } finally {
      await slow.stop()
    }
  })

  it('names a paused instance that lacks a revocation, and claims nothing of it', async () => {
    const agent = await startAgent(system, { service: 'agent', maxStaleness: 60_000 })
    agents.push(agent)
    await eventually(async () => {
      await revoke('before')
      expect((await recent('before')).applied).to.equal(3)
      return true
    })
    agent.kill('SIGSTOP')
    await revoke('while-paused')
    await eventually(async () => {
      expect(await recent('while-paused')).to.include({ live: 3, applied: 2, enforcedMs: null })
      return true
    })
    const { missing } = await recent('while-paused', other)
    expect(missing).to.deep.equal([{ service: 'agent', instance: agent.instance }])
    const failing = await eventually(
      async () => {
        const { enforced } = await overview()
        expect(enforced.verdict).to.equal('failing')
        return enforced
      },
      { timeoutMs: 30_000 },
    )
    expect(failing.reason).to.match(
      new RegExp(`^agent/${agent.instance} may still let in what was revoked: it lacks 1 entry`),
    )
    expect(failing.slowest).to.include({ service: 'agent', instance: agent.instance, behind: 1 })
    agent.kill('SIGCONT')
    await eventually(
      async () => {
        const found = await recent('while-paused')
        expect(found.applied).to.equal(3)
        expect(found.enforcedMs).to.be.greaterThan(4000)
        expect((await overview()).enforced.verdict).to.equal('ok')
        return true
      },
      { timeoutMs: 30_000 },
    )
  })

  it('counts out an instance that was killed only once it could let nobody in', async () => {
    const agent = await startAgent(system, { service: 'doomed', maxStaleness: 4000 })
    agents.push(agent)
    await revoke('first')
    await eventually(async () => (await recent('first')).applied === 4)
    await agent.end()
    await revoke('after-its-death')
    const early = await recent('after-its-death')
    expect(early.missing).to.deep.include({ service: 'doomed', instance: agent.instance })
    expect(early.enforcedMs).to.equal(null)
    const late = await eventually(
      async () => {
        const found = await recent('after-its-death')
        expect(found).to.include({ live: 3, applied: 3 })
        expect(found.enforcedMs).to.be.a('number')
        return found
      },
      { timeoutMs: 30_000 },
    )
    expect(late.enforcedMs).to.be.greaterThan(2000)
  })

  it('says that RabbitMQ is away, and what is enforced all the same', async () => {
    await amqp.cut()
    await eventually(async () => !(await overview()).broker.up)
    const { enforced } = await overview()
    expect(enforced.verdict).to.equal('degraded')
    expect(enforced.reason).to.include('RabbitMQ is away')
    await revoke('unpushed')
    await eventually(async () => (await recent('unpushed')).applied === 3, { timeoutMs: 20_000 })
    await amqp.resume()
    await eventually(async () => (await overview()).broker.up, { timeoutMs: 20_000 })
  })

  it('answers while Redis is frozen, and then claims nothing', async () => {
    redis.stall()
    const { enforced, store, outbox, sweeps } = await eventually(async () => {
      const seen = await overview()
      expect(seen.enforced.verdict).to.equal('failing')
      return seen
    })
    expect(enforced).to.include({
      reason: 'Redis does not answer, so nobody can tell what is enforced.',
      live: null,
    })
    expect([store.up, outbox]).to.deep.equal([false, null])
    expect(sweeps === null || typeof sweeps.caught === 'number').to.equal(true)
    await redis.resume()
    await eventually(async () => (await overview()).store.up, { timeoutMs: 20_000 })
  })

  it('keeps the last hour, slot by slot, with expiries per second', async () => {
    const exp = Math.floor(Date.now() / 1000) + 2
    const tokens = Array.from({ length: 50 }, (_, i) => ({ claims: { jti: `t${i}`, exp } }))
    await call(other, system.apiKey, '/v1/tokens', tokens)
    await revoke('one-more', other)
    await eventually(
      async () => {
        const { body } = await call(other, system.apiKey, '/v1/overview')
        const seen = body as unknown as Overview & {
          hourExpiries: { perSecond: number | null }[]
          hourRevocations: { perSecond: number }[]
        }
        expect(Math.max(...seen.hourExpiries.map(({ perSecond }) => perSecond ?? 0))).to.be.within(
          1,
          10,
        )
        expect(
          Math.max(...seen.hourRevocations.map(({ perSecond }) => perSecond)),
        ).to.be.greaterThan(0)
        expect(seen.push.hour.reduce((sum, { count }) => sum + count, 0)).to.be.greaterThan(0)
        expect(seen.sweeps?.lastAt).to.be.a('number')
        return true
      },
      { timeoutMs: 30_000 },
    )
  })

  it('measures nothing that it cannot believe: with signing on, a forged entry', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = { ...privateKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256' }
    const signed = createSystem({ EVENT_SIGNING_KEYS: JSON.stringify({ keys: [key] }) })
    const process = await signed.start('notifier')
    const hostile = await openHostile(engineUrl('AMQP_URL'), signed.namespace)
    try {
      const value = async (name: string): Promise<number | undefined> =>
        (await scrape(process.url, signed.apiKey)).value(name)
      const pushed = (): Promise<number | undefined> => value('knell_push_seconds_count')
      // What was published while its ear was not there yet is not heard.
      await eventually(async () => (await value('knell_broker_up')) === 1)
      const { body } = await call(process, signed.apiKey, '/v1/revocations', {
        match: { sub: 'honest' },
      })
      await eventually(async () => (await pushed()) === 1)
      const [entry] = hostile.heard
      const forged = String(entry?.body).replace(/"seq":\d+/, `"seq":${Number(body['seq']) + 1}`)
      hostile.publish('revocations', 'default.revoked', forged)
      hostile.publish('revocations', 'default.revoked', forged, entry?.signature)
      await hostile.settled()
      await call(process, signed.apiKey, '/v1/revocations', { match: { sub: 'honest too' } })
      // The forged ones came before.
      await eventually(async () => ((await pushed()) ?? 0) > 1)
      expect(await pushed()).to.equal(2)
    } finally {
      await hostile.close()
      await signed.stop()
    }
  })

  it('does not take a store that was emptied for one where nobody listens', async () => {
    const engine = await startRedis()
    const admin = createRedis(parseRedisUrl(engine.url), () => {})
    const emptied = createSystem({ REDIS_URL: engine.url, BEAT: '2s' })
    try {
      const process = await emptied.start('notifier')
      await emptied.subscribe()
      const verdict = async (): Promise<string> =>
        ((await call(process, emptied.apiKey, '/v1/overview')).body as unknown as Overview).enforced
          .verdict
      await eventually(async () => (await verdict()) === 'ok', { timeoutMs: 20_000 })
      await admin.flushall()
      await call(process, emptied.apiKey, '/v1/revocations', { match: { sub: 'after' } })
      const { body } = await call(process, emptied.apiKey, '/v1/recent')
      expect(body['settled']).to.equal(false)
      await eventually(async () => (await verdict()) === 'degraded')
      await eventually(
        async () => {
          const again = await call(process, emptied.apiKey, '/v1/recent')
          const [row] = again.body['recent'] as Recent[]
          expect(again.body['settled']).to.equal(true)
          expect(row).to.include({ live: 1, applied: 1 })
          expect(await verdict()).to.equal('ok')
          return true
        },
        { timeoutMs: 20_000 },
      )
    } finally {
      admin.disconnect()
      await emptied.stop()
      await engine.stop()
    }
  })

  it('is read once for all who look at the same time, and again as soon as something new is known', async () => {
    const engine = await startRedis()
    const admin = createRedis(parseRedisUrl(engine.url), () => {})
    const looked = createSystem({ REDIS_URL: engine.url, SHARDS: '4' })
    try {
      const process = await looked.start('notifier')
      const reads = async (): Promise<number> => {
        const stats = await admin.info('commandstats')
        return Number(/cmdstat_xrevrange:calls=(\d+)/.exec(stats)?.[1] ?? 0)
      }
      const look = async (limit = 50): Promise<string[]> => {
        const { body } = await call(process, looked.apiKey, `/v1/recent?limit=${limit}`)
        return (body['recent'] as Recent[]).map(({ match }) => String(match['sub']))
      }
      const begun = performance.now()
      for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 20 }, () => look()))
      const seconds = (performance.now() - begun) / 1000
      // One of the four shards each: once a second, and once for who came while that was under way.
      expect(await reads()).to.be.within(4, 8 * Math.ceil(seconds + 1))
      const subs = ['a', 'b', 'c']
      for (const [i, sub] of subs.entries()) {
        await call(process, looked.apiKey, '/v1/revocations', { match: { sub } })
        expect(await look()).to.have.members(subs.slice(0, i + 1))
        expect(await look(1)).to.have.length(1)
      }
    } finally {
      admin.disconnect()
      await looked.stop()
      await engine.stop()
    }
  })

  it('is for those who may see operations; the overview only for keys of all tenants', async () => {
    const key = 'one-tenant-secret-0123'
    const API_KEYS = `${system.env['API_KEYS']} one=${key}:ops:read@default none=none-secret-01234567:feed:read`
    const process = await system.start('notifier', { API_KEYS })
    const status = async (path: string, secret: string): Promise<number> =>
      (await call(process, secret, path)).status
    expect(await status('/v1/recent', key)).to.equal(200)
    expect(await status('/v1/recent?tenant=elsewhere', key)).to.equal(403)
    expect(await status('/v1/overview', key)).to.equal(403)
    expect(await status('/v1/recent', 'none-secret-01234567')).to.equal(403)
    expect(await status('/v1/recent?limit=0', key)).to.equal(400)
  })
})
