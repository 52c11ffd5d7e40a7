import { expect } from 'chai'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, now, type Answer, type TestSystem } from '../support/system.ts'

const QUOTA = 40

describe('a tenant that has registered all it may', function () {
  this.timeout(60_000)
  let folder: string
  let system: TestSystem
  let notifier: KnellProcess
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'knell-quota-'))
    const path = join(folder, 'tenants.json')
    await writeFile(path, JSON.stringify({ small: { maxTokens: QUOTA }, large: {} }))
    system = createSystem({ TENANTS_FILE: path, SHARDS: '1' })
    notifier = await system.start('notifier')
  })
  afterEach(async () => {
    await system.stop()
    await rm(folder, { recursive: true })
  })

  const itemsOf = (count: number, exp: number, tenant = 'small') =>
    Array.from({ length: count }, (_, i) => ({ claims: { jti: `t-${i}`, exp }, tenant }))
  const register = (body: unknown, headers = {}): Promise<Answer> =>
    call(notifier, system.apiKey, '/v1/tokens', body, headers)
  const codesOf = ({ body }: Answer): string[] =>
    ((body['rejected'] ?? []) as { code: string }[]).map(({ code }) => code)

  it('is told so for each further token, alone, in a list and in bulk, and may repeat the old ones', async () => {
    const exp = now() + 600
    const list = await register(itemsOf(QUOTA + 20, exp))
    expect([list.status, list.body['registered']]).to.deep.equal([201, QUOTA])
    expect(codesOf(list)).to.deep.equal(Array.from({ length: 20 }, () => 'quota_exceeded'))
    const one = await register({ claims: { jti: 'more', exp }, tenant: 'small' })
    expect([one.status, one.body['code']]).to.deep.equal([429, 'quota_exceeded'])
    expect(one.headers.get('retry-after')).to.match(/^\d+$/)
    expect(one.body['detail']).to.include('small').and.to.include(String(QUOTA))
    expect((await register(itemsOf(QUOTA, exp))).body).to.deep.equal({ registered: QUOTA })
    const lines = itemsOf(3000, exp).map((item) => JSON.stringify(item))
    const bulk = await register(lines.join('\n'), { 'content-type': 'application/x-ndjson' })
    expect(bulk.body).to.include({ registered: QUOTA, rejectedCount: 3000 - QUOTA })
    expect(new Set(codesOf(bulk))).to.deep.equal(new Set(['quota_exceeded']))
  })

  it('still revokes, takes no room from another, and has room again when its tokens have expired', async () => {
    const service = await system.subscribe({ tenants: ['small', 'large'] })
    const expired: string[] = []
    service.on('expired', (_event, { tenant }) => expired.push(tenant))
    const exp = now() + 4
    await register(itemsOf(QUOTA, exp))
    const later = { claims: { jti: 'later', exp: exp + 600 }, tenant: 'small' }
    expect((await register(later)).status).to.equal(429)
    const flood = Promise.all(Array.from({ length: 4 }, () => register(itemsOf(5000, exp + 600))))
    const [others, revoked] = await Promise.all([
      register(itemsOf(2000, exp + 600, 'large')),
      call(notifier, system.apiKey, '/v1/revocations', { match: { sub: 'x' }, tenant: 'small' }),
    ])
    expect([others.status, others.body]).to.deep.equal([201, { registered: 2000 }])
    expect(revoked.status).to.equal(201)
    await flood
    await eventually(
      () =>
        service.check({ sub: 'x', iat: now() - 60, exp: now() + 60 }, {}, { tenant: 'small' })
          .code === 'revoked',
      { what: 'the revocation' },
    )
    await eventually(async () => (await register(later)).status === 201, {
      what: 'room',
      timeoutMs: 30_000,
      intervalMs: 200,
    })
    await eventually(() => expired.length >= QUOTA, { what: 'the expiries' })
    expect(new Set(expired)).to.deep.equal(new Set(['small']))
  })
})
