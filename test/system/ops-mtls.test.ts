import { expect } from 'chai'
import { topics } from '../../notifier/ops/topics.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { openCertificates, type Certificates } from '../support/certificates.ts'
import { logIn, open, OWN, readEvents, send, type BrowserTls } from '../support/ops-session.ts'
import { createSystem, type TestSystem } from '../support/system.ts'
import { needTool } from '../support/tools.ts'

describe('the dashboard where callers need a client certificate', function () {
  this.timeout(60_000)
  let certificates: Certificates
  let system: TestSystem
  let notifier: KnellProcess
  let browser: BrowserTls
  let stranger: BrowserTls

  before(async function () {
    certificates = openCertificates(await needTool(this, 'openssl'))
    const authority = await certificates.authority('ca')
    const api = await authority.issue('api', { names: ['IP:127.0.0.1'] })
    const own = await authority.issue('own')
    const other = await certificates.authority('other-ca')
    const alien = await other.issue('alien')
    browser = { ca: authority.cert, cert: own.cert, key: own.key }
    stranger = { ca: authority.cert, cert: alien.cert, key: alien.key }
    system = createSystem({
      TLS_CERT: api.certFile,
      TLS_KEY: api.keyFile,
      TLS_CLIENT_CA: authority.certFile,
    })
    notifier = await system.start('notifier', {}, '/readyz', { ca: authority.cert })
  })
  after(async () => {
    await system?.stop()
    certificates?.remove()
  })

  it('lets a browser with one log in and shows it everything live', async () => {
    const { url } = notifier
    const page = await send(`${url}/ops/login`, { tls: browser })
    expect(page.status).to.equal(200)
    const { cookie } = await logIn(url, system.apiKey, browser)
    const headers = { ...OWN, cookie }
    const revoked = await send(`${url}/v1/revocations`, {
      method: 'POST',
      headers,
      body: { match: { sub: 'alice' } },
      tls: browser,
    })
    expect(revoked.status).to.equal(201)
    const stream = await open(`${url}/ops/events`, { headers, tls: browser })
    expect(stream.statusCode).to.equal(200)
    const missing = new Set(topics.map(({ event }) => event))
    const events = await readEvents(stream, ({ event }) => missing.delete(event) && !missing.size)
    expect([...missing]).to.deep.equal([])
    for (const { event, data } of events) {
      expect(JSON.parse(data), event).to.not.have.property('problem')
    }
    const recent = events.find(({ event }) => event === 'recent')?.data
    expect(recent).to.include('"match":{"sub":"alice"}')
  })

  it('shows nothing to one without, also with the cookie of a session and what the process says to itself', async () => {
    const { url } = notifier
    const { cookie } = await logIn(url, system.apiKey, browser)
    const headers = { ...OWN, cookie, 'knell-own-read': 'x' }
    for (const tls of [stranger, { ca: stranger.ca }]) {
      for (const path of ['/ops', '/ops/login', '/ops/session', '/ops/events', '/v1/overview']) {
        const { status, body } = await send(url + path, { headers, tls })
        expect([status, body['code']], path).to.deep.equal([403, 'certificate_needed'])
      }
    }
  })
})
