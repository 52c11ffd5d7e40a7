import { expect } from 'chai'
import { randomUUID } from 'node:crypto'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { AuditRecord } from '../../shared/domain/audit-record.ts'
import { call, createSystem, dies, now, oldToken, type TestSystem } from '../support/system.ts'

interface Revoked {
  id: string
  shard: number
  epoch: string
  seq: number
  held?: boolean
}

describe('an array of revocations', function () {
  this.timeout(60_000)
  let system: TestSystem
  let notifier: KnellProcess
  before(async () => {
    system = createSystem()
    notifier = await system.start('notifier', {
      API_KEYS: `${system.env['API_KEYS']} poor=poor-secret-0123456:revocations:write`,
    })
  })
  after(() => system.stop())

  const send = (body: unknown, key = system.apiKey, headers = {}) =>
    call(notifier, key, '/v1/revocations', body, headers)

  const ruleOf = async (match: string): Promise<unknown> =>
    (await call(notifier, system.apiKey, `/v1/revocations?${match}`)).body['rule']

  async function trail(action: string): Promise<AuditRecord[]> {
    const { body } = await call(notifier, system.apiKey, `/v1/audit?action=${action}&limit=1000`)
    return body['audit'] as AuditRecord[]
  }

  it('is answered in its order, each with its own id and place, and all of them die', async () => {
    const view = await system.subscribe({ service: 'many' })
    const jtis = Array.from({ length: 1000 }, () => randomUUID())
    const many = jtis.map((jti) => ({ match: { jti }, reason: 'logout' }))
    const { status, body } = await send(many)
    expect(status).to.equal(201)
    const made = body['revocations'] as Revoked[]
    expect(made).to.have.length(1000)
    expect(new Set(made.map(({ id }) => id)).size).to.equal(1000)
    for (const [i, { id, shard, epoch, seq }] of made.entries()) {
      expect(id).to.match(new RegExp(`^r${shard}-${epoch.split('.')[0]}-${seq}-\\d+$`))
      if (i % 100 > 0) continue
      expect(JSON.stringify(await ruleOf(`jti=${jtis[i]}`))).to.include(`"${id}"`)
    }
    for (const jti of jtis) await dies(view, { jti })
    expect(view.check({ jti: randomUUID(), sub: 'bob', ...oldToken() })).to.include({
      active: true,
    })
    // Far fewer messages than revocations: what is committed together shares entries.
    expect(new Set(made.map(({ shard, seq }) => `${shard} ${seq}`)).size).to.be.below(200)
    const audited = (await trail('revoke')).map(({ match }) => match?.['jti'])
    expect(audited).to.have.members(jtis)
  })

  it('may hold, revoke and join what is in it twice', async () => {
    const reviewBy = now() + 3600
    const { status, body } = await send([
      { match: { sub: 'mia' }, hold: { reviewBy, outcome: 'release' } },
      { match: { sub: 'mia' }, reason: 'breach' },
      { match: { jti: 'twice' } },
      { match: { jti: 'twice' } },
    ])
    expect(status).to.equal(201)
    const [held, revoked, first, second] = body['revocations'] as Revoked[]
    expect(held).to.include({ held: true })
    expect(revoked?.id).to.not.equal(held?.id)
    expect(second).to.deep.equal(first)
    expect(await ruleOf('sub=mia')).to.include({ held: true, reason: 'breach' })
  })

  const wrong: readonly (readonly [string, unknown, number, string])[] = [
    ['what is no match', { match: [] }, 400, 'invalid_match'],
    ['neither match nor token', {}, 400, 'invalid_request'],
    ['a wait', { match: { sub: 'z' }, wait: { for: 'all' } }, 400, 'invalid_request'],
    ['a time', { match: { sub: 'z' }, at: 4_000_000_000 }, 400, 'invalid_request'],
    ['a dry run', { match: { sub: 'z' }, dryRun: true }, 400, 'invalid_request'],
    ['an unknown tenant', { match: { sub: 'z' }, tenant: 'nobody' }, 404, 'unknown_tenant'],
  ]
  for (const [what, item, status, code] of wrong) {
    it(`is not made at all where one holds ${what}`, async () => {
      const jti = randomUUID()
      const answer = await send([{ match: { jti } }, item])
      expect(answer).to.deep.include({ status })
      expect(answer.body).to.include({ code })
      expect(answer.body['detail']).to.match(/^At index 1 |: 1[.:]/)
      expect(await ruleOf(`jti=${jti}`)).to.equal(null)
    })
  }

  it('is not made at all where the key may not make one of it', async () => {
    const jti = randomUUID()
    const answer = await send(
      [{ match: { jti } }, { match: { client_id: 'app' } }],
      'poor-secret-0123456',
    )
    expect(answer).to.deep.include({ status: 403 })
    expect(await ruleOf(`jti=${jti}`)).to.equal(null)
  })

  it('says which one the store refused', async () => {
    const late = now() + 3600
    const answer = await send([
      { match: { sub: 'a' } },
      { match: { sub: 'b' }, issuedBefore: late },
    ])
    expect(answer).to.include({ status: 422 })
    expect(answer.body).to.include({ code: 'issued_before_in_future' })
    expect(answer.body['detail']).to.match(
      /^At index 1 .* Others of the array may have been made\.$/,
    )
  })

  it('is refused where it is empty, too long, or has an Idempotency-Key', async () => {
    for (const many of [[], Array.from({ length: 1001 }, () => ({ match: { jti: 'x' } }))]) {
      expect((await send(many)).body).to.include({ code: 'invalid_request' })
    }
    const keyed = await send([{ match: { jti: 'x' } }], system.apiKey, { 'idempotency-key': 'k' })
    expect(keyed.body).to.include({ code: 'invalid_request' })
  })
})
