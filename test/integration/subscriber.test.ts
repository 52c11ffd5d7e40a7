import { connect as connectAmqp, type ConfirmChannel, type ChannelModel } from 'amqplib'
import { expect } from 'chai'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import nodeProcess from 'node:process'
import { fileURLToPath } from 'node:url'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { connect } from '../../shared/subscriber/index.ts'
import { turnsLater } from '../../shared/store/turns-later.ts'
import { codeOf } from '../support/code-of.ts'
import { eventually } from '../support/eventually.ts'
import { createIssuer } from '../support/issuer.ts'
import { scrape } from '../support/metrics.ts'
import { openTestStore, type TestStore } from '../support/store.ts'
import { call, createSystem, dies, now, oldToken, type TestSystem } from '../support/system.ts'

/** No beat, no sweep: only what the test does happens. */
const QUIET = { BEAT: '60s', SWEEP_CRON: '0 0 1 1 *' }

describe('a subscriber', function () {
  this.timeout(60_000)
  let system: TestSystem
  let store: TestStore
  let model: ChannelModel
  let channel: ConfirmChannel

  beforeEach(async () => {
    system = createSystem(QUIET)
    store = openTestStore({ namespace: system.namespace })
    model = await connectAmqp(String(system.env['AMQP_URL']), { noDelay: true })
    channel = await model.createConfirmChannel()
  })
  afterEach(async () => {
    await system.stop()
    store.store.close()
    await model.close()
  })

  /** Commits without publishing, as a process would that died in between. */
  const commit = (sub: string) =>
    store.rules.revoke('default', {
      op: 'revoke',
      match: { sub },
      ttlSeconds: 3600,
      skewSeconds: 0,
    })

  async function publish(exchange: string, key: string, body: string | Buffer): Promise<void> {
    channel.publish(`${system.namespace}.${exchange}`, key, Buffer.from(body as string))
    await channel.waitForConfirms()
  }

  const revoke = (process: KnellProcess, sub: string) =>
    call(process, system.apiKey, '/v1/revocations', { match: { sub } })

  it('lets no malformed message stop its consumer', async () => {
    const notifier = await system.start('notifier')
    const service = await system.subscribe()
    await eventually(() => service.stats.push === 'up')
    const good = await revoke(notifier, 'first')
    await dies(service, { sub: 'first' })
    const { epoch } = good.body as { epoch: string }
    const entry = {
      v: 1,
      tenant: 'default',
      log: 'revocations',
      shard: 0,
      epoch,
      seq: 9,
      at: 1,
      kind: 'revoked',
    }
    const event = { match: { sub: 'x' }, cutoffs: [{ id: 'a', issuedBefore: null }], until: 5 }
    const bad: (string | Buffer)[] = [
      '',
      '{',
      'null',
      '[]',
      '"text"',
      '\ufeff{}',
      Buffer.from([0xff, 0xfe, 0x00]),
      '['.repeat(50_000),
      'x'.repeat(1_000_000),
      JSON.stringify({ ...entry, events: [] }),
      JSON.stringify({ ...entry, events: [event], v: 2 }),
      JSON.stringify({ ...entry, events: [event], seq: -1 }),
      JSON.stringify({ ...entry, events: [event], epoch: 'nonsense' }),
      JSON.stringify({ ...entry, events: [event], kind: 'expired' }),
      JSON.stringify({ ...entry, events: [{ ...event, match: { sub: { a: 1 } } }] }),
      JSON.stringify({ ...entry, events: [{ ...event, cutoffs: 'all' }] }),
      '{"__proto__":{"v":1}}',
    ]
    for (const body of bad) {
      await publish('revocations', 'default.revoked', body)
      await publish('control', 'default.beat', body)
    }
    await revoke(notifier, 'second')
    await dies(service, { sub: 'second' })
    expect(service.stats.invalid).to.equal(2 * bad.length)
    expect(service.check({ ...oldToken(), sub: 'x' }).code).to.equal('active')
  })

  it('pulls what a hole in the sequence shows to be missing', async () => {
    await system.start('poller')
    const service = await system.subscribe()
    await eventually(() => service.stats.push === 'up')
    await eventually(() => service.freshness().staleMs < 60_000)
    for (let i = 0; i < 12; i++) await commit(`u${i}`)
    const last = new Map(store.entries.map((entry) => [entry.shard, entry.body]))
    for (const body of last.values()) await publish('revocations', 'default.revoked', body)
    for (let i = 0; i < 12; i++) await dies(service, { sub: `u${i}` })
    expect(service.stats.pulled).to.be.greaterThan(0)
  })

  it('pulls what a beat names and nobody sent', async () => {
    await system.start('poller', { BEAT: '200ms' })
    const service = await system.subscribe()
    await eventually(() => service.stats.push === 'up')
    await commit('alice')
    await dies(service, { sub: 'alice' })
    expect(service.stats.pushed).to.equal(0)
  })

  it('does not pass an entry of a later version of the contract', async () => {
    const notifier = await system.start('notifier')
    const service = await system.subscribe({ maxStaleness: 1500 })
    await eventually(() => service.stats.push === 'up')
    await revoke(notifier, 'first')
    await dies(service, { sub: 'first' })
    const { meta, feed } = store.store.keys.shard('default', 2)
    const { epoch, tails } = await store.store.touch('default', 2)
    const seq = tails.revocations + 1
    const body = JSON.stringify({
      v: 2,
      tenant: 'default',
      log: 'revocations',
      shard: 2,
      epoch,
      seq,
    })
    await store.store.redis.xadd(feed.revocations, `${epoch.split('.')[0]}-${seq}`, 'b', body)
    await store.store.redis.hset(meta, 'rev', seq)
    await publish('revocations', 'default.revoked', body)
    const code = (): string => service.check({ ...oldToken(), sub: 'bob' }).code
    await eventually(() => code() === 'stale', { what: 'the view to be stale' })
    expect(service.check({ ...oldToken(), sub: 'first' }).code).to.equal('revoked')
  })

  it('refuses when stale, allows when told to, and only watches in observe mode', async () => {
    const notifier = await system.start('notifier')
    const options = { maxStaleness: 1000 }
    const [strict, lenient, watcher] = await Promise.all([
      system.subscribe(options),
      system.subscribe({ ...options, whenStale: 'allow' }),
      system.subscribe({ ...options, mode: 'observe', log: { debug() {}, info() {}, warn() {} } }),
    ])
    const stale: string[] = []
    strict.on('stale', (tenant) => stale.push(tenant))
    await revoke(notifier, 'alice')
    for (const service of [strict, lenient, watcher]) await dies(service, { sub: 'alice' })
    await notifier.kill()
    const good = { ...oldToken(), sub: 'bob' }
    await eventually(() => strict.check(good).code === 'stale', { what: 'staleness' })
    await eventually(() => stale.length > 0, { what: 'the event' })
    expect(strict.check(good)).to.include({ active: false, decidedBy: 'policy' })
    await eventually(() => lenient.check(good).code === 'stale')
    expect(lenient.check(good).active).to.equal(true)
    const dead = { ...oldToken(), sub: 'alice' }
    expect(strict.check(dead)).to.include({ active: false, code: 'revoked', decidedBy: 'view' })
    expect(lenient.check(dead).active).to.equal(false)
    await eventually(() => watcher.check(dead).code === 'revoked')
    expect(watcher.check(dead)).to.include({ active: true, observed: true })
    expect(watcher.check(good)).to.include({ active: true })
    expect(watcher.stats.checks['revoked']).to.be.greaterThan(0)
  })

  it('asks the store when stale and told to ask', async () => {
    const issuer = createIssuer()
    const poller = await system.start('poller')
    const service = await system.subscribe({
      maxStaleness: 1,
      whenStale: 'ask',
      verify: issuer.verify,
    })
    expect(await service.verify(issuer.token('alice'))).to.include({
      active: true,
      decidedBy: 'store',
    })
    await commit('alice')
    expect(await service.verify(issuer.token('alice'))).to.include({
      active: false,
      code: 'revoked',
    })
    await poller.kill()
    await eventually(async () => (await service.verify(issuer.token('bob'))).code === 'stale')
    expect((await service.verify(issuer.token('bob'))).active).to.equal(false)
  })

  it('verifies a token, then checks it; a bad one is refused with its code whatever the mode', async () => {
    const issuer = createIssuer()
    const notifier = await system.start('notifier')
    const service = await system.subscribe({
      mode: 'observe',
      verify: issuer.verify,
      log: { debug() {}, info() {}, warn() {} },
    })
    const token = (more: object): string => issuer.token('alice', { jti: 'j', ...more })
    const good = await service.verify(token({ sub: 'alice' }))
    expect(good).to.include({ active: true, code: 'active' })
    expect(good.claims).to.include({ sub: 'alice', jti: 'j' })
    const forged = `${token({}).slice(0, -8)}AAAAAAAA`
    expect(await service.verify(forged)).to.include({
      active: false,
      code: 'token_signature_invalid',
    })
    expect((await service.verify('x')).code).to.equal('token_malformed')
    expect((await service.verify(token({ iss: 'other' }))).code).to.equal('token_wrong_issuer')
    expect((await service.verify(token({ exp: now() - 1 }))).code).to.equal('expired')
    await revoke(notifier, 'alice')
    await eventually(async () => (await service.verify(token({ sub: 'alice' }))).code === 'revoked')
  })

  it('tells everything wrong with its options at once', async () => {
    let message = ''
    await connect({
      service: 'No Good',
      amqp: 'x',
      pull: [],
      apiKey: '',
      maxStale: 5,
    } as never).catch((error: Error) => {
      message = error.message
    })
    for (const part of ['service', 'amqp', 'pull', 'apiKey', 'maxStale'])
      expect(message).to.contain(part)
  })

  it('follows several tenants and tells them apart', async () => {
    const file = new URL('tenants.json', import.meta.url)
    const { writeFile } = await import('node:fs/promises')
    await writeFile(file, JSON.stringify({ one: { issuer: 'i1' }, two: { issuer: 'i2' } }))
    const notifier = await system.start('notifier', {
      TENANTS_FILE: fileURLToPath(file),
      BEAT: '500ms',
    })
    const service = await system.subscribe({ tenants: ['one', 'two'] })
    await call(notifier, system.apiKey, '/v1/revocations', {
      match: { sub: 'alice' },
      tenant: 'one',
    })
    const token = { ...oldToken(), sub: 'alice' }
    await eventually(() => service.check(token, undefined, { tenant: 'one' }).code === 'revoked')
    expect(service.check(token, undefined, { tenant: 'two' }).code).to.equal('active')
    expect(service.check(token).code).to.equal('unknown_issuer')
  })

  it('can be closed right after it was connected, again and again', async () => {
    await system.start('poller')
    for (let i = 0; i < 10; i++) {
      const service = await system.subscribe({ service: `quick-${i}` })
      service.on('expired', () => {})
      await service.close()
    }
  })

  it('answers, and does not throw, for claims that are none', async () => {
    await system.start('poller')
    const service = await system.subscribe()
    for (const claims of [null, undefined, 'text'] as never[]) {
      expect(service.check(claims)).to.include({ active: false, code: 'token_claims_invalid' })
    }
  })

  it('pulls when the push path has fallen silent, and makes it anew', async () => {
    const poller = await system.start('poller', { BEAT: '300ms' })
    const service = await system.subscribe()
    await eventually(() => service.stats.push === 'up')
    await eventually(() => service.freshness().staleMs < 2000)
    const events: string[] = []
    service.on('push', (state) => events.push(state))
    for (const name of ['revocations', 'control']) {
      await channel.deleteExchange(`${system.namespace}.${name}`)
    }
    await commit('in-the-silence')
    await dies(service, { sub: 'in-the-silence' })
    await eventually(() => service.freshness().staleMs < 20_000)
    await eventually(() => events.includes('up'), { timeoutMs: 40_000, what: 'a new connection' })
    expect(poller.output.join()).not.to.contain('"level":60')
  })

  it('tells its listeners what a later snapshot brought', async () => {
    await system.start('poller', { BEAT: '300ms' })
    const service = await system.subscribe()
    const heard: string[] = []
    service.on('revoked', ({ match }) => heard.push(String(match['sub'])))
    await commit('alice')
    await eventually(() => heard.includes('alice'))
    for (let shard = 0; shard < 4; shard++)
      await store.store.redis.hdel(store.store.keys.shard('default', shard).meta, 'run')
    await commit('bob')
    for (const entry of store.entries)
      await store.store.redis.del(store.store.keys.shard('default', entry.shard).feed.revocations)
    await eventually(() => heard.includes('bob'), { what: 'bob, by snapshot' })
  })

  it('is closed twice, and answers ever staler afterwards', async () => {
    await system.start('poller')
    const service = await system.subscribe({ maxStaleness: 200 })
    await service.close()
    await service.close()
    await eventually(() => service.check(oldToken()).code === 'stale')
  })

  it('leaves nobody waiting when it is closed, whatever came in the same moment', async () => {
    await system.start('notifier')
    const service = await system.subscribe()
    const given = [
      service.handle(['revoked'], () => {}),
      service.handle(['held'], () => {}),
      service.ready(AbortSignal.timeout(20_000)),
    ]
    const [codes] = await Promise.all([Promise.all(given.map(codeOf)), service.close()])
    expect(codes.slice(0, 2)).to.deep.equal(['shutting_down', 'shutting_down'])
    const replayed = service.replay({ log: 'revocations', from: { at: 0 } })
    const late = [service.handle(['revoked'], () => {}), service.ready(), replayed]
    expect(await Promise.all(late.map(codeOf))).to.deep.equal(Array(3).fill('shutting_down'))
  })

  it('ends the wait for a first snapshot that never comes when it is closed, or in time', async () => {
    const service = await system.subscribe({ pull: ['http://127.0.0.1:9'], waitReady: false })
    const waiting = codeOf(service.ready())
    expect(await codeOf(service.ready(AbortSignal.abort(new Error('too late'))))).to.include(
      'too late',
    )
    expect(await codeOf(service.ready(AbortSignal.timeout(50)))).to.include('TimeoutError')
    await service.close()
    expect(await waiting).to.equal('shutting_down')
  })

  /** How many calls it has answered with 401. */
  async function refused({ url }: KnellProcess): Promise<number> {
    const { text } = await scrape(url, system.apiKey)
    const found = text.matchAll(/^knell_http_requests_total\{.*status="401".*\} (\d+)$/gm)
    return [...found].reduce((sum, [, count]) => sum + Number(count), 0)
  }

  it('warns once, with the reason, whoever waits for a first snapshot with neither log nor listener', async () => {
    const notifier = await system.start('notifier')
    const told: string[] = []
    const onWarning = (warning: Error & { code?: string }): void => {
      if (warning.name === 'KnellWarning') told.push(`${warning.code}: ${warning.message}`)
    }
    nodeProcess.on('warning', onWarning)
    try {
      const wrong = { pull: [notifier.url], apiKey: 'not-the-key', waitReady: false }
      await system.subscribe(wrong)
      await eventually(async () => (await refused(notifier)) > 3, { what: 'several refusals' })
      expect(told).to.have.length(1)
      expect(told[0]).to.match(/^pull_failed: The view is not ready yet: .*401/)
      const listened = await system.subscribe(wrong)
      await new Promise((heard) => listened.once('problem', heard))
      await new Promise<void>((heard) => {
        const log = { debug() {}, info() {}, warn: () => heard() }
        void system.subscribe({ ...wrong, log })
      })
      // A warning comes a little after what it warns of.
      await turnsLater(1)
      expect(told).to.have.length(1)
    } finally {
      nodeProcess.off('warning', onWarning)
    }
  })

  /** What a compiled file and all it leads to import: packages, and how many files of ours. */
  async function importsOf(file: string): Promise<{ packages: string[]; files: number }> {
    const compiled = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
    const seen = new Set<string>()
    const packages = new Set<string>()
    const walk = async (file: string): Promise<void> => {
      if (seen.has(file)) return
      seen.add(file)
      const text = await readFile(file, 'utf8')
      for (const [, name = ''] of text.matchAll(
        /^(?:import|export) (?:[^'";]*? from )?['"]([^'"]+)['"];?$/gm,
      )) {
        if (name.startsWith('.')) await walk(resolve(dirname(file), name))
        else if (!name.startsWith('node:')) packages.add(name)
      }
    }
    await walk(resolve(compiled, file))
    return { packages: [...packages].sort(), files: seen.size }
  }

  it('imports amqplib alone, and OpenTelemetry only when it traces, what handlers need only when there are any', async () => {
    const { packages, files } = await importsOf('shared/index.js')
    expect(packages).to.deep.equal(['amqplib'])
    expect(files).to.be.greaterThan(15)
    const handlers = await importsOf('shared/subscriber/handlers/handlers.js')
    expect(handlers.packages).to.deep.equal(['amqplib', 'p-limit'])
  })

  for (const [name, wanted] of Object.entries({
    index: [],
    express: [],
    fastify: [],
    nest: ['@nestjs/common', '@nestjs/core'],
    bullmq: ['bullmq'],
  })) {
    it(`lends frameworks/${name} only types: it imports ${wanted.join(', ') || 'no package'}`, async () => {
      const { packages, files } = await importsOf(`shared/frameworks/${name}.js`)
      expect(packages).to.deep.equal(wanted)
      expect(files).to.be.greaterThan(2)
    })
  }
})
