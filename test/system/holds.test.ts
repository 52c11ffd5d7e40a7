import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, now, oldToken, type TestSystem } from '../support/system.ts'

describe('holds and schedules in the whole system', function () {
  this.timeout(60_000)
  let system: TestSystem
  beforeEach(() => {
    system = createSystem()
  })
  afterEach(() => system.stop())

  const post = (process: KnellProcess, path: string, body: object) =>
    call(process, system.apiKey, `/v1/revocations${path}`, body)

  async function becomes(
    service: Subscriber,
    claims: Record<string, unknown>,
    code: string,
  ): Promise<void> {
    await eventually(() => service.check({ ...oldToken(), ...claims }).code === code, {
      timeoutMs: 20_000,
      intervalMs: 5,
      what: `${JSON.stringify(claims)} to become ${code}`,
    })
  }

  it('hold and release a user in every view, also in one that starts in between', async () => {
    const notifier = await system.start('notifier')
    const service = await system.subscribe()
    const hold = { reviewBy: now() + 600, outcome: 'revoke' }
    const held = await post(notifier, '', { match: { sub: 'alice' }, reason: 'anomaly', hold })
    expect(held.status).to.equal(201)
    expect(held.body).to.include({ held: true, ...hold, until: hold.reviewBy + 86_400 + 60 })
    await becomes(service, { sub: 'alice' }, 'held')
    const late = await system.subscribe({ service: 'late' })
    expect(late.check({ ...oldToken(), sub: 'alice' })).to.include({
      code: 'held',
      reason: 'anomaly',
    })
    expect(service.check({ ...oldToken(), sub: 'bob' }).code).to.equal('active')
    const released = await post(notifier, '/release', { match: { sub: 'alice' } })
    expect(released.body['lifted']).to.deep.equal([held.body['id']])
    for (const view of [service, late]) await becomes(view, { sub: 'alice' }, 'active')
  })
})
