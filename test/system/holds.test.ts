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

  it('revoke what was held when nobody came to review it: by the tick, within a second or two', async () => {
    const notifier = await system.start('notifier')
    const service = await system.subscribe()
    const reviewBy = now() + 3
    const hold = { reviewBy, outcome: 'revoke' }
    await post(notifier, '', { match: { sub: 'alice' }, reason: 'anomaly', hold })
    await post(notifier, '', {
      match: { sub: 'bob' },
      hold: { reviewBy, outcome: 'release' },
    })
    await becomes(service, { sub: 'alice' }, 'held')
    await becomes(service, { sub: 'bob' }, 'held')
    await becomes(service, { sub: 'alice' }, 'revoked')
    await becomes(service, { sub: 'bob' }, 'active')
    expect(now()).to.be.at.least(reviewBy)
    expect(service.check({ ...oldToken(), sub: 'alice' }).reason).to.equal('anomaly')
    const after = { sub: 'alice', iat: reviewBy + 1, exp: reviewBy + 500 }
    expect(service.check(after).code, 'a token issued after the review').to.equal('active')
  })

  it('are made by the sweep while every notifier is dead', async () => {
    const poller = await system.start('poller')
    const notifier = await system.start('notifier')
    const service = await system.subscribe()
    const soon = now() + 3
    await post(notifier, '', {
      match: { sub: 'alice' },
      hold: { reviewBy: soon, outcome: 'revoke' },
    })
    await post(notifier, '', { match: { sub: 'bob' }, at: soon })
    await becomes(service, { sub: 'alice' }, 'held')
    expect(service.check({ ...oldToken(), sub: 'bob' }).code).to.equal('active')
    await notifier.kill('SIGKILL')
    await becomes(service, { sub: 'alice' }, 'revoked')
    await becomes(service, { sub: 'bob' }, 'revoked')
    await eventually(async () => {
      const answer = await call(poller, system.apiKey, '/v1/sweeps?limit=1000')
      const text = JSON.stringify(answer.body)
      return /"overdueHolds":1/.test(text) && /"overdueSchedules":1/.test(text)
    })
  })

  it('fire at their time, are listed until then, and not made once cancelled', async () => {
    const notifier = await system.start('notifier')
    const service = await system.subscribe()
    const at = now() + 4
    const kept = await post(notifier, '', { match: { sub: 'alice' }, at, reason: 'deletion' })
    expect(kept.status).to.equal(201)
    expect(kept.body).to.deep.include({ scheduled: true, at, match: { sub: 'alice' } })
    expect(kept.body).not.to.have.property('seq')
    const mistaken = await post(notifier, '', { match: { sub: 'bob' }, at })
    const list = async (): Promise<unknown[]> =>
      (await call(notifier, system.apiKey, '/v1/schedules')).body['schedules'] as unknown[]
    expect(await list()).to.have.length(2)
    const path = `${notifier.url}/v1/schedules?id=${String(mistaken.body['id'])}`
    const cancel = async (): Promise<Response> =>
      fetch(path, {
        method: 'DELETE',
        headers: { authorization: `Bearer ${system.apiKey}`, connection: 'close' },
      })
    const cancelled = await (await cancel()).json()
    expect(cancelled).to.deep.equal({
      cancelled: { id: mistaken.body['id'], at, match: { sub: 'bob' } },
    })
    const again = await cancel()
    expect([again.status, ((await again.json()) as { code: string }).code]).to.deep.equal([
      404,
      'unknown_schedule',
    ])
    expect(await list()).to.deep.equal([
      { id: kept.body['id'], at, match: { sub: 'alice' }, reason: 'deletion' },
    ])
    await becomes(service, { sub: 'alice' }, 'revoked')
    expect(now()).to.be.at.least(at)
    expect(await list()).to.deep.equal([])
    expect(service.check({ ...oldToken(), sub: 'bob' }).code).to.equal('active')
    const undone = await post(notifier, '/restore', { id: kept.body['id'] })
    expect(undone.body['lifted']).to.deep.equal([kept.body['id']])
    await becomes(service, { sub: 'alice' }, 'active')
  })

  it('spare, made late, a token that was issued after their time', async () => {
    const notifier = await system.start('notifier')
    const at = now() + 2
    const planned = await post(notifier, '', { match: { sub: 'alice' }, at })
    await notifier.kill('SIGKILL')
    expect(planned.status).to.equal(201)
    await eventually(() => now() >= at + 4, { what: 'the time to pass' })
    const second = await system.start('notifier')
    const service = await system.subscribe({ pull: [second.url] })
    await becomes(service, { sub: 'alice' }, 'revoked')
    const issued = (iat: number) => service.check({ sub: 'alice', iat, exp: now() + 600 }).code
    expect([issued(at), issued(at + 1)]).to.deep.equal(['revoked', 'active'])
  })

  it('undo a mistaken mass revocation by its id, and only that', async () => {
    const notifier = await system.start('notifier')
    const service = await system.subscribe()
    await post(notifier, '', { match: { sub: 'alice' } })
    await post(notifier, '', { match: {}, issuedBefore: now() - 3000 })
    const mistake = await post(notifier, '', { match: {} })
    await becomes(service, { sub: 'bob' }, 'revoked')
    const undone = await post(notifier, '/restore', { id: mistake.body['id'] })
    expect(undone.body).to.deep.include({ lifted: [mistake.body['id']], match: {} })
    await becomes(service, { sub: 'bob' }, 'active')
    expect(service.check({ ...oldToken(), sub: 'alice' }).code).to.equal('revoked')
    const older = { sub: 'bob', iat: now() - 3100, exp: now() + 600 }
    expect(service.check(older).code).to.equal('revoked')
  })
})
