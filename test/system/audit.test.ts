import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { AuditRecord } from '../../shared/domain/audit-record.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, now, type Answer, type TestSystem } from '../support/system.ts'

describe('the audit trail of the whole system', function () {
  this.timeout(60_000)
  let system: TestSystem
  let notifier: KnellProcess

  before(async () => {
    system = createSystem()
    notifier = await system.start('notifier')
  })
  after(() => system.stop())

  const post = (path: string, body: object, headers = {}): Promise<Answer> =>
    call(notifier, system.apiKey, path, body, headers)

  async function trail(query = ''): Promise<AuditRecord[]> {
    const { status, body } = await call(notifier, system.apiKey, `/v1/audit?${query}`)
    expect(status, JSON.stringify(body)).to.equal(200)
    return body['audit'] as AuditRecord[]
  }

  it('says who revoked what, when, why, from where and with which result', async () => {
    const revoked = await post(
      '/v1/revocations',
      { match: { sub: 'alice' }, reason: 'breach', by: 'carla', note: 'case 17' },
      { 'knell-via': 'cli' },
    )
    const { id, shard, epoch, seq, issuedBefore, until } = revoked.body
    const [record, ...others] = await trail('sub=alice')
    expect(others).to.deep.equal([])
    expect(record?.at).to.be.closeTo(Date.now(), 10_000)
    expect(record).to.deep.include({
      tenant: 'default',
      action: 'revoke',
      who: { key: 'test', by: 'carla' },
      from: { address: '127.0.0.1', via: 'cli' },
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
    const url = `${notifier.url}/v1/schedules?id=${String(planned.body['id'])}`
    const headers = { authorization: `Bearer ${system.apiKey}`, connection: 'close' }
    expect((await fetch(url, { method: 'DELETE', headers })).status).to.equal(200)
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
    expect(causes.get('scheduled-fired')).to.deep.include({
      cause: planned.body['id'],
      reason: 'deletion',
    })
    expect(causes.get('scheduled-fired')?.result).to.include({ ok: true, id: planned.body['id'] })
  })
})
