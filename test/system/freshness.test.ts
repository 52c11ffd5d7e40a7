import { expect } from 'chai'
import { openProxy, type Proxy } from '../../shared/testing/tcp-proxy.ts'
import { startAgent, type Agent } from '../support/agents.ts'
import { eventually } from '../support/eventually.ts'
import { engineUrl } from '../support/store.ts'
import { call, createSystem, dies, oldToken, type TestSystem } from '../support/system.ts'

/** A view must never look fresher than it is, whatever happens to it or around it. */
describe('freshness', () => {
  let system: TestSystem
  const agents: Agent[] = []
  const proxies: Proxy[] = []
  const good = { ...oldToken(), sub: 'good' }

  beforeEach(() => {
    system = createSystem()
  })

  afterEach(async () => {
    await Promise.all(agents.splice(0).map((agent) => agent.end()))
    await system.stop()
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()))
  })

  async function openTo(url: string): Promise<Proxy> {
    const { hostname, port } = new URL(url)
    const proxy = await openProxy({ target: { host: hostname, port: Number(port) } })
    proxies.push(proxy)
    return proxy
  }

  it('is told with each decision, and refused past the limit of the call or the service', async () => {
    const notifier = await system.start('notifier')
    const service = await system.subscribe({ maxStaleness: 2000 })
    const fresh = service.check(good)
    expect(fresh).to.include({ active: true, code: 'active', decidedBy: 'view' })
    expect(fresh.asOf).to.be.greaterThan(Date.now() - 60_000)
    expect(fresh.staleMs).to.be.within(0, 2000)
    await notifier.kill()
    const strict = { maxStaleness: 100 }
    await eventually(() => service.check(good, undefined, strict).code === 'stale')
    const { asOf } = service.check(good)
    await eventually(() => service.check(good).code === 'stale')
    expect(service.check(good).staleMs).to.be.greaterThan(2000)
    expect(service.check(good).asOf).to.equal(asOf)
    expect(service.check(good)).to.include({ active: false, decidedBy: 'policy' })
  })

  it('keeps to the strict policy until the store knows of a laxer one', async () => {
    const notifier = await system.start('notifier')
    const service = await system.subscribe({ maxStaleness: 1500 })
    await eventually(() => service.check(good).active)
    const lax = { whenStale: 'allow' } as const
    expect(service.check(good, undefined, lax).active).to.equal(true)
    const limits = async (): Promise<unknown> => {
      const { body } = await call(notifier, system.apiKey, '/v1/subscribers')
      return (body['subscribers'] as { maxStalenessMs: number | null }[])[0]?.maxStalenessMs
    }
    await eventually(() => service.freshness().awaitedMs === null, { what: 'the store to be told' })
    expect(await limits()).to.equal(null)
    await notifier.kill()
    await eventually(() => service.check(good).code === 'stale')
    expect(service.check(good).active).to.equal(false)
    expect(service.check(good, undefined, lax)).to.include({ active: true, code: 'stale' })
  })

  it('is what is lacking where a newer state could let the token in: that is a 503 too', async () => {
    const notifier = await system.start('notifier')
    const service = await system.subscribe({ maxStaleness: 1500 })
    const long = { ...oldToken(), sub: 'long', exp: oldToken().iat + 90_000 }
    expect(service.check(long)).to.include({ code: 'token_too_long_lived', decidedBy: 'view' })
    await notifier.kill()
    await eventually(() => service.check(good).code === 'stale')
    expect(service.check(long)).to.include({ code: 'stale', active: false, decidedBy: 'policy' })
    const lax = { whenStale: 'allow' } as const
    expect(service.check(long, undefined, lax).active).to.equal(false)
  })

  it('does not come back by what waited in a queue while the process was paused', async () => {
    const notifier = await system.start('notifier')
    const agent = await startAgent(system, { maxStaleness: 2000 })
    agents.push(agent)
    expect((await agent.check(good)).active).to.equal(true)
    agent.kill('SIGSTOP')
    const { body } = await call(notifier, system.apiKey, '/v1/revocations', {
      match: { sub: 'good' },
      wait: { for: 'all', timeoutMs: 8000 },
    })
    // It has been silent for so long that nobody waits for it any more.
    expect(body['enforced']).to.include({ done: true, live: 0 })
    const decisions = [agent.check(good), agent.check(good), agent.check(good)]
    agent.kill('SIGCONT')
    for (const decision of await Promise.all(decisions)) {
      expect(decision.active, JSON.stringify(decision)).to.equal(false)
    }
    await eventually(async () => (await agent.check(good)).code === 'revoked')
    await eventually(async () => (await agent.check({ ...good, sub: 'other' })).active)
  })

  for (const minutes of [5, -5]) {
    it(`does not depend on a local clock that is ${minutes} min off`, async () => {
      const notifier = await system.start('notifier')
      const agent = await startAgent(
        system,
        { maxStaleness: 1500 },
        {
          AGENT_SKEW_MS: String(minutes * 60_000),
        },
      )
      agents.push(agent)
      const decision = await agent.check(good)
      expect(decision.active).to.equal(true)
      expect(decision.staleMs).to.be.within(0, 1500)
      const short = { ...oldToken(), sub: 'short', exp: Math.floor(Date.now() / 1000) + 2 }
      expect((await agent.check(short)).code).to.equal('active')
      await eventually(async () => (await agent.check(short)).code === 'expired')
      expect(Date.now() / 1000).to.be.at.least(short.exp)
      await notifier.kill()
      await eventually(async () => (await agent.check(good)).code === 'stale')
    })
  }

  it('ends when the connections are half open: all is accepted, and nothing comes', async () => {
    const notifier = await system.start('notifier')
    const [broker, http] = [await openTo(engineUrl('AMQP_URL')), await openTo(notifier.url)]
    const service = await system.subscribe({
      amqp: broker.url(engineUrl('AMQP_URL')),
      pull: [http.url(notifier.url)],
      maxStaleness: 2000,
    })
    await eventually(() => service.check(good).active)
    broker.stall()
    http.stall()
    await eventually(() => service.check(good).code === 'stale')
    const { body } = await call(notifier, system.apiKey, '/v1/revocations', {
      match: { sub: 'good' },
    })
    expect(body['id']).to.be.a('string')
    expect(service.check(good).active).to.equal(false)
    // What was held comes now, all at once: old beats first.
    await Promise.all([broker.resume(), http.resume()])
    await dies(service, { sub: 'good' })
    expect(service.check(good).active).to.equal(false)
  })

  it('does not hide a relay that has stopped: a beat names what has not come', async () => {
    const notifier = await system.start('notifier')
    const proxy = await openTo(engineUrl('AMQP_URL'))
    const service = await system.subscribe({
      amqp: proxy.url(engineUrl('AMQP_URL')),
      maxStaleness: 2000,
    })
    await eventually(() => service.stats.push === 'up')
    // Nothing that is published reaches the service, and its pulls go on: so it learns by pulling.
    proxy.swallow('down')
    await call(notifier, system.apiKey, '/v1/revocations', { match: { sub: 'good' } })
    await dies(service, { sub: 'good' })
  })

  it('is asked for, with a limit on how long and how often, where the policy is to ask', async () => {
    const notifier = await system.start('notifier')
    const http = await openTo(notifier.url)
    const service = await system.subscribe({
      pull: [http.url(notifier.url)],
      amqp: 'amqp://127.0.0.1:1',
      maxStaleness: 500,
      whenStale: 'ask',
    })
    expect(await service.decide(good)).to.include({ active: true })
    http.stall()
    await eventually(() => service.check(good).code === 'stale')
    const started = performance.now()
    expect(await service.decide(good)).to.include({ active: false, code: 'stale' })
    expect(performance.now() - started).to.be.below(4000)
    for (let i = 0; i < 5; i++) await service.decide(good)
    const later = performance.now()
    expect(await service.decide(good)).to.include({ active: false, code: 'stale' })
    expect(performance.now() - later, 'a circuit that is open asks nobody').to.be.below(200)
    await http.resume()
    await eventually(async () => (await service.decide(good)).active)
  }).timeout(40_000)
})
