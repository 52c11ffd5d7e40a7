import { connect as connectAmqp, type ChannelModel } from 'amqplib'
import { expect } from 'chai'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { eventually } from '../support/eventually.ts'
import { createIssuer } from '../support/issuer.ts'
import {
  call,
  createSystem,
  now,
  oldToken,
  type Answer,
  type TestSystem,
} from '../support/system.ts'

const SHOP = 'https://shop.example'
const BANK = 'https://bank.example'
const SHOP_KEY = 'shop-secret-0123456'
const BANK_KEY = 'bank-secret-0123456'
const DEFAULT_KEY = 'default-secret-01234'

describe('tenants', function () {
  this.timeout(90_000)
  const bank = createIssuer(BANK)
  let folder: string
  let system: TestSystem
  let notifier: KnellProcess
  let poller: KnellProcess
  let model: ChannelModel

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'knell-tenants-'))
    const path = join(folder, 'tenants.json')
    const tenants = {
      shop: { issuer: SHOP },
      bank: { issuer: BANK, keys: bank.verify.keys },
      default: {},
    }
    await writeFile(path, JSON.stringify(tenants))
    const keys = [
      `shop=${SHOP_KEY}:*@shop`,
      `bank=${BANK_KEY}:*@bank`,
      `default=${DEFAULT_KEY}:*@default`,
    ]
    system = createSystem({ TENANTS_FILE: path })
    const env = { API_KEYS: `${String(system.env['API_KEYS'])} ${keys.join(' ')}` }
    notifier = await system.start('notifier', env)
    poller = await system.start('poller', env)
    model = await connectAmqp(String(system.env['AMQP_URL']), { noDelay: true })
  })
  after(async () => {
    await model.close()
    await system.stop()
    await rm(folder, { recursive: true })
  })

  const post = (key: string, path: string, body: unknown, headers = {}): Promise<Answer> =>
    call(notifier, key, path, body, headers)
  const get = (key: string, path: string): Promise<Answer> => call(notifier, key, path)

  /** Hears what is published with the routing keys of a tenant, as a subscriber of it can. */
  async function listen(tenant: string): Promise<{ keys: string[]; bodies: string[] }> {
    const heard = { keys: [] as string[], bodies: [] as string[] }
    const channel = await model.createChannel()
    const { queue } = await channel.assertQueue('', { exclusive: true })
    for (const exchange of ['revocations', 'expiries', 'control']) {
      await channel.bindQueue(queue, `${system.namespace}.${exchange}`, `${tenant}.#`)
    }
    await channel.consume(
      queue,
      (message) => {
        heard.keys.push(String(message?.fields.routingKey))
        heard.bodies.push(String(message?.content))
      },
      { noAck: true },
    )
    return heard
  }

  it('go on undisturbed while another revokes everything and floods', async () => {
    const shop = await system.subscribe({ tenants: ['shop'], apiKey: SHOP_KEY })
    const bank = await system.subscribe({ tenants: ['bank'], apiKey: BANK_KEY })
    const [onShop, onBank] = [await listen('shop'), await listen('bank')]
    expect(
      (await post(SHOP_KEY, '/v1/revocations', { match: {}, tenant: 'shop' })).status,
    ).to.equal(201)
    await eventually(
      () =>
        shop.check({ ...oldToken(), sub: 'a' }, undefined, { tenant: 'shop' }).code === 'revoked',
    )
    expect(bank.check({ ...oldToken(), sub: 'a' }, undefined, { tenant: 'bank' }).code).to.equal(
      'active',
    )

    const ending = new AbortController()
    let sent = 0
    const flood = Array.from({ length: 64 }, async (_, i) => {
      for (let n = 0; !ending.signal.aborted; n++) {
        await post(SHOP_KEY, '/v1/revocations', { match: { sub: `s-${i}-${n}` }, tenant: 'shop' })
        sent += 1
      }
    })
    await eventually(() => sent > 100)
    for (let i = 0; i < 5; i++) {
      const before = sent
      const match = { sub: `b-${i}` }
      expect((await post(BANK_KEY, '/v1/revocations', { match, tenant: 'bank' })).status).to.equal(
        201,
      )
      await eventually(
        () =>
          bank.check({ ...oldToken(), ...match }, undefined, { tenant: 'bank' }).code === 'revoked',
        { what: `b-${i}`, timeoutMs: 15_000, intervalMs: 2 },
      )
      expect(
        bank.check({ ...oldToken(), sub: 's-0-0' }, undefined, { tenant: 'bank' }).code,
      ).to.equal('active')
      await eventually(() => sent > before, { what: 'the flood to go on meanwhile' })
    }
    ending.abort()
    await Promise.all(flood)
    expect(sent).to.be.greaterThan(200)
    await eventually(() => onShop.keys.length > 0 && onBank.keys.includes('bank.beat'))
    expect(onShop.keys.filter((key) => !key.startsWith('shop.'))).to.deep.equal([])
    expect(onShop.bodies.filter((body) => !body.includes('"tenant":"shop"'))).to.deep.equal([])
    expect(onShop.bodies.filter((body) => body.includes('bank'))).to.deep.equal([])
    expect(onBank.bodies.filter((body) => body.includes('shop'))).to.deep.equal([])
    await post(SHOP_KEY, '/v1/revocations/restore', { match: {}, tenant: 'shop' })
  })

  it('are answered while thousands of another’s signatures are verified', async () => {
    const tokens = Array.from({ length: 5000 }, (_, i) => ({
      tenant: 'bank',
      token: bank.token('s', { jti: `bulk-${i}` }),
    }))
    let isDone = false
    const bulk = post(BANK_KEY, '/v1/tokens', tokens).finally(() => {
      isDone = true
    })
    let answered = 0
    await eventually(
      async () => {
        const match = { sub: `meanwhile-${answered}` }
        const { status } = await post(SHOP_KEY, '/v1/revocations', { match, tenant: 'shop' })
        if (status === 201 && !isDone) answered += 1
        return isDone
      },
      { intervalMs: 1, timeoutMs: 30_000, what: 'the registration' },
    )
    expect((await bulk).body).to.deep.equal({ registered: 5000 })
    expect(answered).to.be.at.least(10)
  })

  it('share no key in the store', async () => {
    for (const [key, tenant] of [
      [SHOP_KEY, 'shop'],
      [BANK_KEY, 'bank'],
    ] as const) {
      await post(
        key,
        '/v1/revocations',
        { match: { dept: 1 }, tenant },
        { 'idempotency-key': 'same' },
      )
      await post(key, '/v1/tokens', { claims: { jti: 'same', exp: now() + 600 }, tenant })
    }
    const redis = createRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    const keys = await redis.keys(`${system.namespace}:*`)
    redis.disconnect()
    const tags = keys.map((key) => /^[^:]+:\{(?:(shop|bank|default)\.\d|store)\}:/.exec(key)?.[0])
    expect(tags).to.not.include(undefined)
    expect(keys.filter((key) => key.includes('{shop.')).length).to.be.greaterThan(8)
  })

  const exp = now() + 600
  const calls: [string, (tenant: string) => readonly [string, unknown?]][] = [
    ['registering', (tenant) => ['/v1/tokens', { claims: { jti: 'x', exp }, tenant }]],
    ['revoking', (tenant) => ['/v1/revocations', { match: { sub: 'x' }, tenant }]],
    ['revoking everything', (tenant) => ['/v1/revocations', { match: {}, tenant }]],
    ['revoking by token', (tenant) => ['/v1/revocations', { token: 'a.b.c', tenant }]],
    ['restoring', (tenant) => ['/v1/revocations/restore', { match: { sub: 'x' }, tenant }]],
    ['restoring by id', (tenant) => ['/v1/revocations/restore', { id: 'r0-1-1-0', tenant }]],
    ['checking', (tenant) => ['/v1/check', { claims: { sub: 'x', iss: BANK }, tenant }]],
    ['reading a rule', (tenant) => [`/v1/revocations?sub=x&tenant=${tenant}`]],
    ['reading all rules', (tenant) => [`/v1/revocations?tenant=${tenant}&cursor=0.0`]],
    ['a snapshot', (tenant) => [`/v1/snapshot?tenant=${tenant}&service=s&instance=i`]],
    ['the tails', (tenant) => [`/v1/feed?tenant=${tenant}`]],
    ['the feed', (tenant) => [`/v1/feed?tenant=${tenant}&after=0-0,0-0,0-0,0-0&waitMs=1000`]],
  ]
  for (const [title, request] of calls) {
    it(`learn nothing of each other, nor of which there are, by ${title}`, async () => {
      const answers = await Promise.all(
        ['bank', 'default', 'nowhere'].map(async (tenant) => {
          const [path, body] = request(tenant)
          const { status, body: answer } = await call(notifier, SHOP_KEY, path, body)
          const { requestId, ...rest } = answer
          expect(requestId).to.be.a('string')
          return { status, ...rest }
        }),
      )
      expect(answers[0]).to.include({ status: 403, code: 'forbidden' })
      expect(answers[1]).to.deep.equal(answers[0])
      expect(answers[2]).to.deep.equal(answers[0])
    })
  }

  it('learn nothing of each other’s issuers by tokens that name them', async () => {
    const token = (iss: string): string => bank.token('s', { iss, jti: 'x' })
    for (const path of ['/v1/tokens', '/v1/revocations']) {
      for (const key of [SHOP_KEY, DEFAULT_KEY]) {
        const [known, unknown] = await Promise.all(
          [BANK, 'https://nobody.example'].map(async (iss) => {
            const { status, body } = await post(key, path, { token: token(iss) })
            return [status, body['code'], body['detail']]
          }),
        )
        expect(known, `${path} with ${key}`).to.deep.equal(unknown)
      }
      expect((await post(BANK_KEY, path, { token: token(BANK) })).status).to.equal(201)
    }
    const there = { tenant: 'bank', claims: { jti: 'x', iat: now() - 5, exp: now() + 60 } }
    expect((await post(BANK_KEY, '/v1/check', there)).body['code']).to.equal('revoked')
    const here = { tenant: 'default', claims: { jti: 'x2', iat: now() - 5, exp: now() + 60 } }
    expect((await post(DEFAULT_KEY, '/v1/check', here)).body['code']).to.equal('active')
  })

  it('cannot restore each other’s revocations by id, nor meet in idempotency keys', async () => {
    const headers = { 'idempotency-key': 'one-key' }
    const match = { sub: 'same-name' }
    const [theirs, ours] = await Promise.all([
      post(BANK_KEY, '/v1/revocations', { match, tenant: 'bank' }, headers),
      post(SHOP_KEY, '/v1/revocations', { match: { sub: 'other' }, tenant: 'shop' }, headers),
    ])
    expect([theirs.status, ours.status]).to.deep.equal([201, 201])
    const id = String(theirs.body['id'])
    const tried = await post(SHOP_KEY, '/v1/revocations/restore', { id, tenant: 'shop' })
    // An id is a place in one tenant's feed: in another's it names nothing, or something of its own.
    expect([200, 404]).to.include(tried.status)
    expect(tried.body['match'] ?? {}).to.not.deep.equal(match)
    const rule = await get(BANK_KEY, '/v1/revocations?sub=same-name&tenant=bank')
    expect(JSON.stringify(rule.body['rule'])).to.contain(id)
    const own = await post(BANK_KEY, '/v1/revocations/restore', { id, tenant: 'bank' })
    expect(own.body['lifted']).to.deep.equal([id])
    // The key of all tenants has idempotency keys of its own in each.
    for (const tenant of ['bank', 'shop']) {
      const done = await post(system.apiKey, '/v1/revocations', { match, tenant }, headers)
      expect(done.status).to.equal(201)
    }
  })

  it('see only what is theirs in feed, snapshot and pages, with a cursor or position of another', async () => {
    for (let i = 0; i < 20; i++) {
      await post(BANK_KEY, '/v1/revocations', { match: { sub: `secret-${i}` }, tenant: 'bank' })
    }
    const page = await get(BANK_KEY, '/v1/revocations?tenant=bank&limit=2')
    const cursor = String(page.body['next'])
    const mine = await get(SHOP_KEY, `/v1/revocations?tenant=shop&limit=1000&cursor=${cursor}`)
    const feed = await get(BANK_KEY, '/v1/feed?tenant=bank')
    const after = (feed.body['tails'] as { epoch: string }[])
      .map(({ epoch }) => `${epoch.split('.')[0]}-0`)
      .join(',')
    const other = await get(SHOP_KEY, `/v1/feed?tenant=shop&after=${after}&limit=1000`)
    const snapshot = await fetch(`${poller.url}/v1/snapshot?tenant=shop`, {
      headers: { authorization: `Bearer ${SHOP_KEY}`, connection: 'close' },
    })
    const text = JSON.stringify([mine.body, other.body]) + (await snapshot.text())
    expect(text).to.contain('"sub"')
    expect(text).to.not.match(/secret-|"bank"/)
    expect((await get(SHOP_KEY, '/v1/sweeps')).body['code']).to.equal('forbidden')
  })

  it('are told to slow down after failed authentications, but never with a right key', async () => {
    const codes: unknown[] = []
    for (let i = 0; i < 25; i++) {
      const answer = await call(poller, `wrong-secret-${i}`, '/v1/feed')
      codes.push(answer.body['code'])
      if (answer.status !== 429) continue
      expect(Number(answer.headers.get('retry-after'))).to.be.within(1, 10)
      expect(answer.headers.get('www-authenticate')).to.equal(null)
    }
    expect(codes.slice(0, 20)).to.deep.equal(Array<string>(20).fill('unauthorized'))
    expect(codes.slice(20)).to.deep.equal(Array<string>(5).fill('too_many_requests'))
    const right = await call(poller, SHOP_KEY, '/v1/feed?tenant=shop')
    expect(right.status).to.equal(200)
    expect((await call(poller, SHOP_KEY, '/v1/feed?tenant=bank')).status).to.equal(403)
  })

  it('expire their tokens each for itself', async () => {
    const shop = await system.subscribe({ tenants: ['shop'], apiKey: SHOP_KEY })
    const bank = await system.subscribe({ tenants: ['bank'], apiKey: BANK_KEY })
    const heard: string[] = []
    shop.on('expired', ({ sub }) => heard.push(`shop ${sub}`))
    bank.on('expired', ({ sub }) => heard.push(`bank ${sub}`))
    await eventually(() => shop.stats.push === 'up' && bank.stats.push === 'up')
    const at = now() + 2
    for (const [key, tenant] of [
      [SHOP_KEY, 'shop'],
      [BANK_KEY, 'bank'],
    ] as const) {
      const claims = { jti: 'one-jti', sub: `of-${tenant}`, exp: at }
      expect((await post(key, '/v1/tokens', { claims, tenant })).status).to.equal(201)
    }
    await eventually(() => heard.length >= 2, { what: 'both expiries' })
    expect(heard.sort()).to.deep.equal(['bank of-bank', 'shop of-shop'])
    await post(BANK_KEY, '/v1/revocations', { match: { sub: 'marker' }, tenant: 'bank' })
    await eventually(
      () =>
        bank.check({ ...oldToken(), sub: 'marker' }, undefined, { tenant: 'bank' }).code ===
        'revoked',
    )
  })
})
