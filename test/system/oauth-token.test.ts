import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import { createIssuingSystem, LoginService } from '../support/issuing.ts'
import type { TestSystem } from '../support/system.ts'

const SECRET = 'a-secret-of-this-client'
const CLIENTS = { web: { secret: SECRET }, app: {}, other: { secret: `${SECRET}-2` } }

describe('POST /oauth/token', function () {
  this.timeout(60_000)
  let folder: string
  let file: string
  let system: TestSystem
  let notifier: KnellProcess
  let service: LoginService

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'knell-token-'))
    file = join(folder, 'clients.json')
    writeFileSync(file, JSON.stringify(CLIENTS))
    system = createIssuingSystem({ CLIENTS_FILE: file, REFRESH_GRACE: '0s' })
    service = new LoginService(system)
    notifier = await system.start('notifier')
  })
  after(async () => {
    await system.stop()
    rmSync(folder, { recursive: true })
  })

  interface Told {
    readonly status: number
    readonly body: Record<string, unknown>
    readonly headers: Headers
  }

  async function post(
    form: Record<string, string>,
    basic: readonly [string, string] | null = ['web', SECRET],
  ): Promise<Told> {
    const response = await fetch(`${notifier.url}/oauth/token`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        connection: 'close',
        ...(basic && { authorization: `Basic ${btoa(basic.join(':'))}` }),
      },
      body: new URLSearchParams(form).toString(),
    })
    const { status, headers } = response
    return { status, headers, body: (await response.json()) as Record<string, unknown> }
  }
  const grant = (refresh: string, more: Record<string, string> = {}) => ({
    grant_type: 'refresh_token',
    refresh_token: refresh,
    ...more,
  })
  const refused = ({ status, body, headers }: Told): unknown[] => {
    expect(headers.get('content-type')).to.match(/^application\/json/)
    expect(headers.get('cache-control')).to.equal('no-store')
    expect(headers.get('pragma')).to.equal('no-cache')
    expect(Object.keys(body)).to.have.members(['error', 'error_description'])
    return [status, body['error']]
  }

  it('refreshes a session of the client, with exactly what RFC 6749 has, and not to be stored', async () => {
    const { refresh } = await service.login(notifier, { scope: 'read write' })
    const { status, body, headers } = await post(grant(refresh))
    expect(status).to.equal(200)
    expect(headers.get('content-type')).to.match(/^application\/json/)
    expect(headers.get('cache-control')).to.equal('no-store')
    expect(headers.get('pragma')).to.equal('no-cache')
    expect(body).to.include({ token_type: 'Bearer', expires_in: 300, scope: 'read write' })
    expect(Object.keys(body)).to.have.members([
      'access_token',
      'token_type',
      'expires_in',
      'refresh_token',
      'refresh_expires_in',
      'scope',
    ])
    const narrowed = await post(grant(String(body['refresh_token']), { scope: 'write' }))
    expect(narrowed.body).to.include({ scope: 'write' })
    const wider = grant(String(narrowed.body['refresh_token']), { scope: 'write root' })
    expect(refused(await post(wider))).to.deep.equal([400, 'invalid_scope'])
    const bad = grant(String(narrowed.body['refresh_token']), { scope: 'a"b' })
    expect(refused(await post(bad))).to.deep.equal([400, 'invalid_scope'])
    // What was refused has used nothing up, and less scope for one token is none less for the session.
    const again = await post(grant(String(narrowed.body['refresh_token'])))
    expect(again.body).to.include({ scope: 'read write' })
  })

  it('refreshes a public client by its name', async () => {
    const { refresh } = await service.login(notifier, { client_id: 'app' })
    expect((await post(grant(refresh, { client_id: 'app' }), null)).status).to.equal(200)
  })

  it('refuses everything else in the words of RFC 6749', async () => {
    const { refresh } = await service.login(notifier)
    const of = async (form: Record<string, string>, basic?: [string, string] | null) =>
      refused(await post(form, basic === undefined ? ['web', SECRET] : basic))
    const other = { ...grant(refresh), grant_type: 'password' }
    expect(await of(other)).to.deep.equal([400, 'unsupported_grant_type'])
    expect(await of({ refresh_token: refresh })).to.deep.equal([400, 'invalid_request'])
    expect(await of({ grant_type: 'refresh_token' })).to.deep.equal([400, 'invalid_request'])
    expect(await of(grant('kr1.garbage'))).to.deep.equal([400, 'invalid_grant'])
    expect(await of(grant(refresh), ['other', `${SECRET}-2`])).to.deep.equal([400, 'invalid_grant'])
    expect(await of(grant(refresh), ['web', `${SECRET}-2`])).to.deep.equal([401, 'invalid_client'])
    expect(await of(grant(refresh), ['nobody', SECRET])).to.deep.equal([401, 'invalid_client'])
    expect(await of(grant(refresh), null)).to.deep.equal([401, 'invalid_client'])
    // Of all of these none has done the session any harm.
    const next = String((await post(grant(refresh))).body['refresh_token'])
    expect(await of(grant(refresh))).to.deep.equal([400, 'invalid_grant'])
    expect(await of(grant(next))).to.deep.equal([400, 'invalid_grant'])
  })

  it('refuses a client that was taken out of CLIENTS_FILE, and takes it again once it is back', async () => {
    const { refresh } = await service.login(notifier)
    const { web: _, ...others } = CLIENTS
    writeFileSync(file, JSON.stringify(others))
    await eventually(async () => (await post(grant('x'))).status === 401)
    expect(refused(await post(grant(refresh)))).to.deep.equal([401, 'invalid_client'])
    writeFileSync(file, JSON.stringify(CLIENTS))
    await eventually(async () => (await post(grant('x'))).status === 400)
    expect((await post(grant(refresh))).status).to.equal(200)
  })

  it('says no more of a session that is revoked or held than that the grant is not good', async () => {
    const { refresh } = await service.login(notifier, { sub: 'gone' })
    await service.revoke(notifier, { sub: 'gone' })
    expect(refused(await post(grant(refresh)))).to.deep.equal([400, 'invalid_grant'])
  })
})
