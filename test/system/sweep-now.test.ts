import { expect } from 'chai'
import { Redis } from 'ioredis'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { AuditRecord } from '../../shared/domain/audit-record.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, now, type Answer, type TestSystem } from '../support/system.ts'

const SHOP_KEY = 'shop-secret-0123456'

describe('a sweep now, and what is due', function () {
  this.timeout(60_000)
  let system: TestSystem
  let notifier: KnellProcess
  let poller: KnellProcess
  before(async () => {
    // Once a year: whatever is swept here was asked for.
    system = createSystem({ SWEEP_CRON: '0 0 1 1 *' })
    const keys = `${String(system.env['API_KEYS'])} shop=${SHOP_KEY}:*@default`
    notifier = await system.start('notifier', { API_KEYS: keys })
  })
  after(() => system.stop())

  const sweep = (process: KnellProcess, body?: object, key = system.apiKey): Promise<Answer> =>
    call(process, key, '/v1/sweeps', body ?? {})

  it('waits, as one job, where no poller runs', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => sweep(notifier)))
    expect(new Set(answers.map(({ status }) => status))).to.deep.equal(new Set([202]))
    expect(new Set(answers.map(({ body }) => body['job'])).size).to.equal(1)
    expect(answers[0]?.body).to.include({ state: 'waiting', lastAt: null })
    const waited = await sweep(notifier, { wait: true, timeoutMs: 300 })
    expect([waited.status, waited.body['job']]).to.deep.equal([202, answers[0]?.body['job']])
    const refused = await sweep(notifier, {}, SHOP_KEY)
    expect([refused.status, refused.body['code']]).to.deep.equal([403, 'forbidden'])
  })

  it('is made by the poller that comes, once, and then again for whoever asks', async () => {
    poller = await system.start('poller')
    const reports = new Set<number>()
    for (const process of [notifier, poller, notifier]) {
      const { at } = (await call(poller, system.apiKey, '/v1/due')).body as { at: number }
      const { status, body } = await sweep(process, { wait: true })
      expect(status, JSON.stringify(body)).to.equal(200)
      const report = body['report'] as { at: number; run: number }
      expect(report.at).to.be.at.least(at - 5000)
      reports.add(report.run)
    }
    expect(reports.size).to.equal(3)
    const { body } = await call(poller, system.apiKey, '/v1/sweeps?limit=100')
    expect(body['sweeps']).to.have.length(4)
    const trail = await call(notifier, system.apiKey, '/v1/audit?action=sweep')
    const records = (trail.body['audit'] as AuditRecord[]).filter(({ result }) => result.ok)
    expect(records).to.have.length(14)
    expect(new Set(records.map(({ tenant }) => tenant))).to.deep.equal(new Set([null]))
  })

  it('counts the tokens that are due minute by minute', async () => {
    const from = now()
    const claims = [30, 90, 95, 3590, 3700].flatMap((after, i) =>
      Array.from({ length: 10 }, (_, n) => ({ claims: { jti: `${i}-${n}`, exp: from + after } })),
    )
    await call(notifier, system.apiKey, '/v1/tokens', claims)
    const { status, body } = await call(notifier, system.apiKey, '/v1/due?tenant=default')
    expect(status).to.equal(200)
    const minutes = body['minutes'] as number[]
    expect(minutes).to.have.length(60)
    expect([minutes[0], minutes[1], minutes[59]]).to.deep.equal([10, 20, 10])
    expect(minutes.reduce((sum, count) => sum + count, 0)).to.equal(40)
    expect(body).to.include({ overdue: 0, complete: true })
    expect(Number(body['at'])).to.be.closeTo(Date.now(), 10_000)
  })
})

describe('a sweep now, of a Redis that refuses', function () {
  this.timeout(60_000)
  let redis: PrivateEngine
  let admin: Redis
  let system: TestSystem
  let notifier: KnellProcess
  before(async () => {
    redis = await startRedis()
    admin = new Redis(redis.url)
    system = createSystem({ REDIS_URL: redis.url })
    notifier = await system.start('notifier')
  })
  after(async () => {
    admin.disconnect()
    await system.stop()
    await redis.stop()
  })

  const refusals: [string, () => Promise<unknown>, () => Promise<unknown>, string][] = [
    [
      'since its memory is used up',
      () => admin.config('SET', 'maxmemory', 1),
      () => admin.config('SET', 'maxmemory', 0),
      'store_full',
    ],
    [
      'to write, since it has become a replica',
      () => admin.replicaof('127.0.0.1', 1),
      () => admin.replicaof('NO', 'ONE'),
      'store_unavailable',
    ],
    [
      'any answer, since it is frozen',
      () => redis.signal('SIGSTOP'),
      () => redis.signal('SIGCONT'),
      'store_unavailable',
    ],
  ]
  for (const [why, refuse, relent, code] of refusals) {
    it(`${why}: is answered with the store's code in a bounded time, and taken afterwards`, async () => {
      await refuse()
      const started = performance.now()
      const { status, body } = await call(notifier, system.apiKey, '/v1/sweeps', {})
      expect([status, body['code']], JSON.stringify(body)).to.deep.equal([503, code])
      expect(performance.now() - started).to.be.below(10_000)
      await relent()
      await eventually(
        async () => (await call(notifier, system.apiKey, '/v1/sweeps', {})).status === 202,
        { timeoutMs: 20_000, what: 'a sweep to be taken' },
      )
    })
  }
})
