import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { eventually } from '../support/eventually.ts'
import { createIssuingSystem, LoginService, tokensOf } from '../support/issuing.ts'
import { scrape } from '../support/metrics.ts'
import { call, type Answer, type TestSystem } from '../support/system.ts'

const GRACE_MS = 3000

describe('Refreshing sessions', function () {
  this.timeout(60_000)
  let system: TestSystem
  let one: KnellProcess
  let two: KnellProcess
  let service: LoginService
  let subscriber: Subscriber

  before(async () => {
    system = createIssuingSystem({ REFRESH_GRACE: `${GRACE_MS}ms` })
    one = await system.start('notifier')
    two = await system.start('notifier')
    service = new LoginService(system)
    subscriber = await system.subscribe({ service: 'reader' })
  })
  after(() => system.stop())

  const codeIn = ({ body }: Answer): unknown => body['code']
  const isLive = (claims: object): boolean => {
    const { active, code, reason } = subscriber.check({ ...claims })
    if (!active && reason === undefined) throw new Error(`It is refused: ${code}.`)
    return active
  }
  const afterGrace = async (): Promise<void> => {
    const from = performance.now()
    await eventually(() => performance.now() - from > GRACE_MS + 50)
  }

  it('answers another access token, and the refresh token that follows', async () => {
    const first = await service.login(one, { scope: 'read write', claims: { roles: ['admin'] } })
    const answer = await service.refresh(two, first.refresh)
    expect(answer.status).to.equal(200)
    expect(answer.headers.get('cache-control')).to.equal('no-store')
    const second = tokensOf(answer)
    expect(second.refresh).not.to.equal(first.refresh)
    expect(second.claims).to.deep.include({
      sub: 'alice',
      client_id: 'web',
      aud: 'api',
      sid: first.sid,
      scope: 'read write',
      roles: ['admin'],
    })
    expect(second.claims['jti']).not.to.equal(first.claims['jti'])
    const lookedUp = await service.lookUp(one, second.refresh)
    expect(lookedUp.body).to.deep.include({
      sub: 'alice',
      sid: first.sid,
      claims: { roles: ['admin'] },
    })
    expect(lookedUp.body['startedAt']).to.equal(first.claims['iat'])
    // A look-up rotates nothing.
    expect(tokensOf(await service.refresh(one, second.refresh)).refresh).not.to.equal(
      second.refresh,
    )
  })

  it('takes other claims for the session from then on, and less scope for one token', async () => {
    const { refresh } = await service.login(one, {
      scope: 'read write',
      claims: { roles: ['admin'] },
    })
    const more = { claims: { roles: [] }, scope: 'read' }
    const second = tokensOf(await service.refresh(one, refresh, more))
    expect(second.claims).to.deep.include({ roles: [], scope: 'read' })
    const third = tokensOf(await service.refresh(two, second.refresh))
    expect(third.claims).to.deep.include({ roles: [], scope: 'read write' })
    const wider = await service.refresh(one, third.refresh, { scope: 'read root' })
    expect([wider.status, codeIn(wider)]).to.deep.equal([400, 'invalid_scope'])
  })

  it('answers the same successor to 100 that come at once at two notifiers, and logs nobody out', async () => {
    const { refresh, sid } = await service.login(one)
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => service.refresh(i % 2 === 0 ? one : two, refresh)),
    )
    const all = answers.map(tokensOf)
    expect(new Set(all.map(({ refresh: next }) => next)).size).to.equal(1)
    expect(new Set(all.map(({ claims }) => claims['jti'])).size).to.equal(100)
    const next = tokensOf(await service.refresh(two, String(all[0]?.refresh)))
    expect(next.sid).to.equal(sid)
    expect(all.every(({ claims }) => isLive(claims))).to.equal(true)
  })

  it('ends the session of a token that is used again after the grace: every service learns why, and the trail', async () => {
    const first = await service.login(one)
    const second = tokensOf(await service.refresh(one, first.refresh))
    expect(isLive(second.claims)).to.equal(true)
    await afterGrace()
    const count = async (): Promise<number> =>
      (await scrape(two.url, system.apiKey)).value('knell_refreshes_total', {
        outcome: 'reused',
      }) ?? 0
    const before = await count()
    const reused = await service.refresh(two, first.refresh)
    expect(await count()).to.equal(before + 1)
    expect([reused.status, codeIn(reused)]).to.deep.equal([400, 'refresh_token_reused'])
    expect(reused.body).to.include({ sid: first.sid, sub: 'alice' })
    await eventually(() => !isLive(second.claims))
    expect(subscriber.check({ ...second.claims })).to.include({ code: 'revoked', reason: 'reuse' })
    for (const refresh of [first.refresh, second.refresh]) {
      expect(codeIn(await service.refresh(one, refresh))).to.equal('refresh_token_reused')
    }
    const { body } = await call(one, system.apiKey, `/v1/audit?action=reuse&sid=${first.sid}`)
    const records = body['audit'] as Record<string, unknown>[]
    expect(records).to.have.length(1)
    expect(records[0]).to.deep.include({ reason: 'reuse', match: { sid: first.sid } })
    const { body: rules } = await call(one, system.apiKey, `/v1/revocations?sid=${first.sid}`)
    expect(JSON.stringify(rules)).to.include('reuse')
  })

  it('refuses garbage, a token of another client, a forged one and one of another tenant alike, and kills nobody', async () => {
    const { refresh, claims } = await service.login(one)
    const [, family, , mac = ''] = refresh.split('.')
    const flipped = mac.startsWith('A') ? `B${mac.slice(1)}` : `A${mac.slice(1)}`
    const tries: [string, object][] = [
      ['x', {}],
      ['kr1...', {}],
      [refresh.slice(0, -1), {}],
      [refresh, { client_id: 'other' }],
      [`kr1.${family}.1.${flipped}`, {}],
      [`kr1.${family}.2.${mac}`, {}],
      [`kr1.${family}.999999999.${mac}`, {}],
      [`kr1.${'A'.repeat(22)}.1.${mac}`, {}],
      [(await service.login(two)).access, {}],
    ]
    for (const [token, more] of tries) {
      for (const answer of [
        await service.refresh(one, token, more),
        await service.lookUp(two, token, more),
      ]) {
        expect([answer.status, codeIn(answer), answer.body['detail']], token).to.deep.equal([
          400,
          'refresh_token_invalid',
          'The refresh token is not valid.',
        ])
      }
    }
    expect(isLive(claims)).to.equal(true)
    expect((await service.refresh(one, refresh)).status).to.equal(200)
  })

  it('goes on after a hold is released, with the same token', async () => {
    const { refresh } = await service.login(one, { sub: 'henry' })
    const hold = { reviewBy: Math.floor(Date.now() / 1000) + 600, outcome: 'release' }
    await service.revoke(two, { sub: 'henry' }, { hold })
    const held = await service.refresh(one, refresh)
    expect([held.status, codeIn(held)]).to.deep.equal([400, 'session_held'])
    const grant = { sub: 'henry', client_id: 'web', aud: 'api' }
    expect(codeIn(await service.ask(one, '/v1/sessions', grant))).to.equal('grant_refused')
    await afterGrace()
    await service.ask(one, '/v1/revocations/release', { match: { sub: 'henry' } })
    expect((await service.refresh(one, refresh)).status).to.equal(200)
  })

  it('refuses sessions from before a password change, and none from after it', async () => {
    const old = await service.login(one, { sub: 'pat' })
    const changed = await service.revoke(two, { sub: 'pat' }, { reason: 'password-change' })
    expect(changed.status, JSON.stringify(changed.body)).to.equal(201)
    const fresh = await service.login(one, { sub: 'pat' })
    expect(fresh.claims['iat']).to.be.greaterThan(Number(changed.body['issuedBefore']))
    const refused = await service.refresh(one, old.refresh)
    expect([refused.status, codeIn(refused)]).to.deep.equal([400, 'session_revoked'])
    expect(refused.body['reason']).to.equal('password-change')
    expect((await service.refresh(two, fresh.refresh)).status).to.equal(200)
  })

  it('keeps a sid for one session until that is over, and ends it by sid or refresh token', async () => {
    const first = await service.login(one, { sid: 's-1', sub: 'sid' })
    const again = { sub: 'sid', client_id: 'web', aud: 'api', sid: 's-1' }
    expect((await service.ask(two, '/v1/sessions', again)).status).to.equal(409)
    const ended = await service.ask(two, '/v1/sessions/end', { sid: 's-1' })
    expect(ended.status).to.equal(200)
    expect(codeIn(await service.refresh(one, first.refresh))).to.equal('session_ended')
    await eventually(() => subscriber.check({ ...first.claims }).reason === 'logout')

    const other = await service.login(one, { sub: 'sid' })
    const wrong = { refreshToken: other.refresh, client_id: 'other' }
    expect(codeIn(await service.ask(one, '/v1/sessions/end', wrong))).to.equal(
      'refresh_token_invalid',
    )
    const right = { refreshToken: other.refresh, client_id: 'web', reason: 'suspension' }
    const { body } = await service.ask(one, '/v1/sessions/end', right)
    expect(body['sid']).to.equal(other.sid)
    await eventually(() => subscriber.check({ ...other.claims }).reason === 'suspension')
    for (const bad of [{}, { sid: 'a', refreshToken: 'b' }, { refreshToken: 'b' }]) {
      expect((await service.ask(one, '/v1/sessions/end', bad)).status).to.equal(400)
    }
  })

  it('gives no refresh token where none is asked for', async () => {
    const grant = { sub: 'once', client_id: 'web', aud: 'api', refresh: false }
    const { body } = await service.ask(one, '/v1/sessions', grant)
    expect(body).to.have.property('access_token')
    expect(body).not.to.have.property('refresh_token')
  })
})
