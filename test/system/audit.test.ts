import { expect } from 'chai'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { parseRedisUrl } from '../../shared/config/redis-url.ts'
import type { AuditRecord } from '../../shared/domain/audit-record.ts'
import { createRedis } from '../../shared/store/redis.ts'
import { eventually } from '../support/eventually.ts'
import { createIssuer } from '../support/issuer.ts'
import { call, createSystem, now, type Answer, type TestSystem } from '../support/system.ts'

const SHOP_KEY = 'shop-secret-0123456'
const BANK_KEY = 'bank-secret-0123456'
const POOR_KEY = 'poor-secret-0123456'

describe('the audit trail of the whole system', function () {
  this.timeout(60_000)
  const issuer = createIssuer()
  let folder: string
  let system: TestSystem
  let notifier: KnellProcess

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'knell-audit-'))
    const path = join(folder, 'tenants.json')
    const bank = { issuer: 'https://issuer.example', keys: issuer.verify.keys }
    await writeFile(path, JSON.stringify({ default: {}, shop: {}, bank }))
    system = createSystem({ TENANTS_FILE: path })
    notifier = await system.start('notifier', {
      API_KEYS: [
        system.env['API_KEYS'],
        `shop=${SHOP_KEY}:*@shop`,
        `bank=${BANK_KEY}:*@bank`,
        `poor=${POOR_KEY}:revocations:write`,
      ].join(' '),
      TRUST_PROXY: '127.0.0.0/8',
    })
  })
  after(async () => {
    await system.stop()
    await rm(folder, { recursive: true })
  })

  const post = (path: string, body: unknown, headers = {}): Promise<Answer> =>
    call(notifier, system.apiKey, path, body, headers)

  async function trail(query = '', key = system.apiKey): Promise<AuditRecord[]> {
    const { status, body } = await call(notifier, key, `/v1/audit?${query}`)
    expect(status, JSON.stringify(body)).to.equal(200)
    return body['audit'] as AuditRecord[]
  }

  async function send(method: string, path: string): Promise<number> {
    const headers = { authorization: `Bearer ${system.apiKey}`, connection: 'close' }
    const response = await fetch(notifier.url + path, { method, headers })
    await response.text()
    return response.status
  }

  it('says who revoked what, when, why, from where and with which result', async () => {
    const revoked = await post(
      '/v1/revocations',
      { match: { sub: 'alice' }, reason: 'breach', by: 'carla', note: 'case 17' },
      { 'knell-via': 'cli', 'x-forwarded-for': '192.0.2.7' },
    )
    const { id, shard, epoch, seq, issuedBefore, until } = revoked.body
    const [record, ...others] = await trail('sub=alice')
    expect(others).to.deep.equal([])
    expect(record?.at).to.be.closeTo(Date.now(), 10_000)
    expect(record).to.deep.include({
      tenant: 'default',
      action: 'revoke',
      who: { key: 'test', by: 'carla' },
      from: { address: '192.0.2.7', via: 'cli' },
      match: { sub: 'alice' },
      reason: 'breach',
      note: 'case 17',
      result: { ok: true, id, shard, epoch, seq, issuedBefore, until },
    })
  })

  it('has every change of a rule and of a schedule, newest first', async () => {
    const match = { sub: 'bob' }
    const reviewBy = now() + 600
    await post('/v1/revocations', { match })
    await post('/v1/revocations', { match, hold: { reviewBy, outcome: 'revoke' } })
    await post('/v1/revocations/release', { match, note: 'it was him' })
    const restored = await post('/v1/revocations/restore', { match, by: 'dora' })
    const planned = await post('/v1/revocations', { match, at: now() + 600 })
    await post('/v1/revocations', { match, dryRun: true })
    expect(await send('DELETE', `/v1/schedules?id=${String(planned.body['id'])}`)).to.equal(200)
    const records = await trail('sub=bob')
    const actions = ['unschedule', 'schedule', 'restore', 'release', 'hold', 'revoke']
    expect(records.map(({ action }) => action)).to.deep.equal(actions)
    expect(records.map(({ result }) => result.ok)).to.not.include(false)
    expect(records[2]?.result['lifted']).to.deep.equal(restored.body['lifted'])
    expect(records[0]?.details?.['id']).to.equal(planned.body['id'])
  })

  it('has what Knell did by itself, and what had set it up', async () => {
    const match = { sub: 'erin' }
    const reviewBy = now() + 2
    const held = await post('/v1/revocations', { match, hold: { reviewBy, outcome: 'release' } })
    const planned = await post('/v1/revocations', { match, at: reviewBy, reason: 'deletion' })
    const done = await eventually(async () => {
      const records = await trail('sub=erin&action=hold-ended,scheduled-fired')
      return records.length === 2 ? records : undefined
    })
    const causes = new Map(done?.map((record) => [record.action, record]))
    expect(causes.get('hold-ended')).to.deep.include({
      cause: held.body['id'],
      who: { key: null },
      from: { address: null, via: 'tick' },
    })
    expect(causes.get('hold-ended')?.result).to.include({ ok: true, outcome: 'release', reviewBy })
    expect(causes.get('scheduled-fired')).to.deep.include({
      cause: planned.body['id'],
      reason: 'deletion',
    })
    expect(causes.get('scheduled-fired')?.result).to.include({ ok: true, id: planned.body['id'] })
  })

  it('has what else was changed, and a bulk registration as its counts', async () => {
    const put = await fetch(`${notifier.url}/v1/max-token-ttl`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${system.apiKey}`,
        'content-type': 'application/json',
        connection: 'close',
      },
      body: '{"maxTokenTtl":"12h"}',
    })
    expect(put.status).to.equal(200)
    await put.text()
    expect(await send('DELETE', '/v1/subscribers?service=none')).to.equal(200)
    const exp = now() + 3600
    const claims = ['a', 'b', ''].map((jti) => ({ claims: { jti, exp } }))
    await post('/v1/tokens', claims)
    await post('/v1/tokens', { claims: { jti: 'single', exp } })
    const records = await eventually(async () => {
      const found = await trail('action=max-token-ttl,remove-subscriber,register')
      return found.length === 3 ? found : undefined
    })
    expect(records?.map(({ action }) => action)).to.deep.equal([
      'register',
      'remove-subscriber',
      'max-token-ttl',
    ])
    expect(records?.map(({ result }) => result)).to.deep.equal([
      { ok: true, registered: 2, rejected: 1 },
      { ok: true, removed: 0, handlersEnded: false },
      { ok: true, maxTokenTtl: JSON.parse(JSON.stringify(records?.[2]?.result['maxTokenTtl'])) },
    ])
  })

  it('has what was refused, with its code, and a flood of it in few records', async () => {
    const refusedBy = (key: string, body: object): Promise<Answer> =>
      call(notifier, key, '/v1/revocations', body)
    expect((await refusedBy(POOR_KEY, { match: { aud: 'all' }, note: 'hm' })).status).to.equal(403)
    await post('/v1/revocations', { match: { sub: 'late' }, issuedBefore: 2 ** 33 })
    const flood = Array.from({ length: 100 }, () =>
      refusedBy(POOR_KEY, { match: {}, hold: { reviewBy: now() + 9, outcome: 'release' } }),
    )
    await Promise.all(flood)
    const records = await eventually(async () => {
      const found = (await trail('limit=1000')).filter(({ result }) => !result.ok)
      return found.length === 22 ? found : undefined
    })
    const first = records?.find(({ match }) => match?.['aud'] === 'all')
    expect(first).to.deep.include({ action: 'revoke', who: { key: 'poor' }, note: 'hm' })
    expect(first?.result).to.deep.equal({ ok: false, code: 'forbidden' })
    const codes = records?.map(({ tenant, action, result }) => `${tenant} ${action} ${result.code}`)
    expect(new Set(codes)).to.deep.equal(
      new Set([
        'default revoke forbidden',
        'default revoke issued_before_in_future',
        'default hold forbidden',
      ]),
    )
  })

  it('has nothing in a tenant of what a key of another one tries there: that is only counted', async () => {
    const second = await system.start('notifier', {
      API_KEYS: `${String(system.env['API_KEYS'])} shop=${SHOP_KEY}:*@shop`,
    })
    for (const via of ['cli', 'ops', 'none']) {
      for (let i = 0; i < 25; i++) {
        const body = { match: { sub: 'x' }, tenant: i % 2 === 0 ? 'bank' : 'default' }
        const tried = await call(second, SHOP_KEY, '/v1/revocations', body, { 'knell-via': via })
        expect(tried.status).to.equal(403)
      }
    }
    await second.stop()
    const records = (await trail('who=shop&limit=1000')).filter(({ result }) => !result.ok)
    expect(records.map(({ tenant, action, result }) => ({ tenant, action, result }))).to.deep.equal(
      [{ tenant: null, action: 'revoke', result: { ok: false, code: 'forbidden', count: 75 } }],
    )
  })

  it('is apart for each tenant, and shown to keys of all as a whole', async () => {
    await call(notifier, SHOP_KEY, '/v1/revocations', { match: { sub: 'mine' }, tenant: 'shop' })
    await call(notifier, BANK_KEY, '/v1/revocations', { match: { sub: 'mine' }, tenant: 'bank' })
    const tenantsOf = (records: AuditRecord[]): Set<unknown> =>
      new Set(records.map(({ tenant }) => tenant))
    expect(tenantsOf(await trail('', SHOP_KEY))).to.deep.equal(new Set(['shop']))
    expect(tenantsOf(await trail('tenant=bank'))).to.deep.equal(new Set(['bank']))
    expect(tenantsOf(await trail('sub=mine'))).to.deep.equal(new Set(['shop', 'bank']))
    const foreign = await call(notifier, SHOP_KEY, '/v1/audit?tenant=bank')
    expect([foreign.status, foreign.body['code']]).to.deep.equal([403, 'forbidden'])
    const poor = await call(notifier, POOR_KEY, '/v1/audit')
    expect([poor.status, poor.body['code']]).to.deep.equal([403, 'forbidden'])
  })

  it('is paged by a cursor, and refuses questions that it cannot understand', async () => {
    const all = await trail('limit=1000')
    const paged: AuditRecord[] = []
    let cursor = ''
    do {
      const { body } = await call(notifier, system.apiKey, `/v1/audit?limit=7${cursor}`)
      const page = body['audit'] as AuditRecord[]
      paged.push(...page)
      cursor = body['next'] === undefined ? '' : `&cursor=${body['next'] as string}`
      expect(page.length === 7 || cursor === '').to.equal(true)
    } while (cursor !== '')
    expect(paged).to.deep.equal(all)
    const bad = ['action=burn', 'after=1732212345', 'cursor=1', 'limit=0', 'format=csv', 'before=x']
    for (const query of [...bad, 'format=ndjson&cursor=1-1.0.default']) {
      const { status, body } = await call(notifier, system.apiKey, `/v1/audit?${query}`)
      expect([status, body['code']], query).to.deep.equal([400, 'invalid_request'])
    }
  })

  it('holds no token and no secret, wherever a caller puts them', async () => {
    const token = issuer.token('mallory')
    const note = `${token} and ${system.apiKey}`
    const sent = [
      await post('/v1/revocations', { token, tenant: 'bank', by: note, note }),
      await post('/v1/revocations', { match: { sub: 'm' }, note: `Bearer ${system.apiKey}` }),
      await post('/v1/revocations', { token: `${token}x`, tenant: 'bank', note }),
      await post('/v1/revocations/restore', { match: { sub: 'nobody' }, note }),
    ]
    expect(sent.map(({ status }) => status)).to.deep.equal([201, 201, 400, 404])
    await eventually(async () => (await trail('action=restore')).some(({ note: kept }) => kept))
    const redis = createRedis(parseRedisUrl(String(system.env['REDIS_URL'])), () => {})
    const keys = [
      ...(await redis.keys(`${system.namespace}:*:audit`)),
      ...(await redis.keys(`${system.namespace}:*:traffic`)),
    ]
    const raw = JSON.stringify(await Promise.all(keys.map((key) => redis.xrange(key, '-', '+'))))
    redis.disconnect()
    expect(keys.length).to.be.greaterThan(3)
    expect(raw).to.include('[token] and [secret]')
    const log = notifier.output.join('\n')
    expect(log).to.include('[token] and [secret]')
    for (const part of [...token.split('.'), system.apiKey, SHOP_KEY, POOR_KEY]) {
      expect(raw).to.not.include(part)
      expect(log).to.not.include(part)
    }
  })

  it('counts calls without the secret of a key, and keeps no trail with AUDIT_DAYS=0', async () => {
    const other = await system.start('notifier', { AUDIT_DAYS: '0' })
    const third = await system.start('notifier')
    const before = (await trail('limit=1000')).length
    await call(other, system.apiKey, '/v1/revocations', { match: { sub: 'unseen' } })
    for (let i = 0; i < 30; i++) await call(third, `wrong-secret-${i}-0000`, '/v1/audit')
    await third.stop()
    const [counted, ...others] = await trail('action=authenticate')
    expect(others).to.deep.equal([])
    expect(counted).to.deep.include({ tenant: null, who: { key: null } })
    expect(counted?.result).to.deep.equal({ ok: false, code: 'unauthorized', count: 30 })
    expect((await trail('limit=1000')).length).to.equal(before + 1)
  })
})
