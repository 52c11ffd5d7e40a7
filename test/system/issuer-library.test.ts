import { expect } from 'chai'
import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { compiled } from '../../shared/cli/checkout.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { createIssuer, type Check, type Issuer, type Reuse } from '../../shared/issuer/index.ts'
import type { MetricName } from '../../shared/metrics/metrics-table.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { openProxy, type Proxy } from '../../shared/testing/tcp-proxy.ts'
import { createVerifier } from '../../shared/tokens/verifier.ts'
import { codeOf } from '../support/code-of.ts'
import { eventually } from '../support/eventually.ts'
import { exampleIn } from '../support/example-in.ts'
import { createIssuingSystem, ISSUER } from '../support/issuing.ts'
import { scrape } from '../support/metrics.ts'
import type { TestSystem } from '../support/system.ts'

const ALICE = { sub: 'alice', clientId: 'web', aud: 'api' }
const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const OWN_KEYS = {
  keys: [{ ...own.publicKey.export({ format: 'jwk' }), kid: 'own-1', alg: 'ES256' }],
}

describe('knell/issuer', function () {
  this.timeout(60_000)
  let system: TestSystem
  let notifier: KnellProcess
  let subscriber: Subscriber
  let proxy: Proxy

  before(async () => {
    system = createIssuingSystem({ REFRESH_GRACE: '20s', JWT_KEYS: JSON.stringify(OWN_KEYS) })
    notifier = await system.start('notifier')
    subscriber = await system.subscribe()
    const { port } = new URL(notifier.url)
    proxy = await openProxy({ target: { host: '127.0.0.1', port: Number(port) } })
  })
  after(async () => {
    await proxy?.close()
    await system.stop()
  })

  const issuerWith = (more: object = {}): Issuer =>
    createIssuer({ url: notifier.url, apiKey: system.apiKey, ...more })
  const count = async (name: MetricName): Promise<number> =>
    (await scrape(notifier.url, system.apiKey)).value(name) ?? 0
  const claimsOf = (token: string): Record<string, unknown> =>
    JSON.parse(Buffer.from(String(token.split('.')[1]), 'base64url').toString()) as Record<
      string,
      unknown
    >

  it('logs in, refreshes and logs out', async () => {
    const issuer = issuerWith()
    const first = await issuer.login({ ...ALICE, scope: 'read', claims: { roles: ['a'] } })
    expect(first).to.include({ expiresIn: 300, scope: 'read' })
    const refreshToken = String(first.refreshToken)
    const second = await issuer.refresh({ refreshToken, clientId: 'web' })
    expect(claimsOf(second.accessToken)).to.deep.include({ sid: first.sid, roles: ['a'] })
    await issuer.logout({ refreshToken: String(second.refreshToken), clientId: 'web' })
    const dead = { refreshToken: String(second.refreshToken), clientId: 'web' }
    expect(await codeOf(issuer.refresh(dead))).to.equal('session_ended')
    await eventually(() => subscriber.check(claimsOf(second.accessToken)).reason === 'logout')
    await issuer.logout({ sid: first.sid })
    const alone = await issuer.login({ ...ALICE, refresh: false })
    expect(alone).not.to.have.property('refreshToken')
  })

  it('asks the checks in turn: they give claims, refuse, or end the session', async () => {
    const seen: unknown[] = []
    let verdict: () => ReturnType<Check> = () => undefined
    const issuer = issuerWith({
      checks: [
        async (session: { sub: string }) => Promise.resolve({ claims: { roles: [session.sub] } }),
        (session: { claims: unknown }) => {
          seen.push(session.claims)
          return verdict()
        },
      ],
    })
    const first = await issuer.login({ ...ALICE, claims: { roles: [], plan: 'free' } })
    const clientId = 'web'
    const second = await issuer.refresh({ refreshToken: String(first.refreshToken), clientId })
    expect(claimsOf(second.accessToken)).to.deep.include({ roles: ['alice'], plan: 'free' })
    expect(seen).to.deep.equal([{ roles: ['alice'], plan: 'free' }])
    const sent = { refreshToken: String(second.refreshToken), clientId }

    verdict = () => ({ refuse: 'too risky' })
    const refused = await issuer.refresh(sent).catch((error: unknown) => error)
    expect(refused).to.deep.include({ code: 'check_refused', retryable: false })
    expect(refused).to.have.nested.property('details.ended', false)
    verdict = () => Promise.reject(new Error('the user database is away'))
    expect(await codeOf(issuer.refresh(sent))).to.equal('Error: the user database is away')
    verdict = () => undefined
    const third = await issuer.refresh(sent)

    verdict = () => ({ refuse: 'suspended', end: 'suspension' })
    const last = { refreshToken: String(third.refreshToken), clientId }
    expect(await codeOf(issuer.refresh(last))).to.equal('check_refused')
    verdict = () => undefined
    expect(await codeOf(issuer.refresh(last))).to.equal('session_ended')
    await eventually(() => subscriber.check(claimsOf(third.accessToken)).reason === 'suspension')
  })

  it('tells of a reuse', async () => {
    const issuer = issuerWith({ checks: [() => undefined] })
    const told: Reuse[] = []
    issuer.on('reuse', (reuse) => told.push(reuse))
    const { refreshToken, sid } = await issuer.login(ALICE)
    const clientId = 'web'
    const first = { refreshToken: String(refreshToken), clientId }
    const second = await issuer.refresh(first)
    const third = { refreshToken: String(second.refreshToken), clientId }
    await issuer.refresh(third)
    expect(await codeOf(issuer.refresh(first))).to.equal('refresh_token_reused')
    expect(told).to.deep.equal([{ tenant: 'default', sid, sub: 'alice', clientId }])
    await eventually(() => subscriber.check(claimsOf(second.accessToken)).reason === 'reuse')
  })

  it('sends a refresh again whose answer was lost, and gets the same successor', async () => {
    const issuer = issuerWith({
      url: [new URL(proxy.url(notifier.url)).origin, notifier.url],
      timeoutMs: 1500,
    })
    const { refreshToken } = await issuer.login(ALICE)
    const sent = { refreshToken: String(refreshToken), clientId: 'web' }
    proxy.swallow('down')
    const next = await issuer.refresh(sent)
    await proxy.resume()
    expect((await issuer.refresh(sent)).refreshToken).to.equal(next.refreshToken)
  })

  it('fails with a code where nobody answers, and takes bad options for mistakes', async () => {
    const { port } = proxy
    await proxy.cut()
    const issuer = issuerWith({ url: `http://127.0.0.1:${port}` })
    const failed = await issuer.login(ALICE).catch((error: unknown) => error)
    expect(failed).to.deep.include({ code: 'call_failed', retryable: true })
    await proxy.resume()
    expect(() => createIssuer({ url: 'ftp://x', apiKey: 'x' })).to.throw(TypeError)
    expect(() => createIssuer({ url: [], apiKey: 'x' })).to.throw(TypeError)
    expect(() => createIssuer({ url: 'http://x', apiKey: '' })).to.throw(TypeError)
    expect(await codeOf(issuer.sign(ALICE))).to.equal('config_invalid')
    const wrong = createIssuer({ url: notifier.url, apiKey: 'not-a-secret-of-anyone' })
    expect(await codeOf(wrong.login(ALICE))).to.equal('unauthorized')
  })

  it('signs with a key of one’s own, and registers before anybody has the token', async () => {
    const key = { jwk: { ...own.privateKey.export({ format: 'jwk' }), kid: 'own-1', alg: 'ES256' } }
    const issuer = issuerWith({ keys: { issuer: ISSUER, key } })
    const before = await count('knell_tokens_registered_total')
    const { accessToken, jti, sid } = await issuer.sign({ ...ALICE, claims: { roles: ['x'] } })
    const { header, claims } = createVerifier({
      keys: OWN_KEYS,
      issuer: ISSUER,
      typ: ['at+jwt'],
    }).verify(accessToken)
    expect(header).to.include({ kid: 'own-1', alg: 'ES256' })
    expect(claims).to.deep.include({ sub: 'alice', client_id: 'web', jti, sid, roles: ['x'] })
    expect(claims.exp - Number(claims.iat)).to.equal(300)
    expect(await count('knell_tokens_registered_total')).to.equal(before + 1)
    expect(await codeOf(issuer.sign({ ...ALICE, claims: { iss: 'x' } }))).to.equal(
      'invalid_request',
    )

    // What Knell does not take nobody gets: here its key is not known.
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const pem = stranger.export({ format: 'pem', type: 'pkcs8' })
    const other = issuerWith({ keys: { issuer: ISSUER, key: { pem, kid: 'own-1' } } })
    expect(await codeOf(other.sign(ALICE))).to.equal('token_signature_invalid')
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
    const bad = [
      { pem: weak.export({ format: 'pem', type: 'pkcs8' }), kid: 'w' },
      { pem: own.publicKey.export({ format: 'pem', type: 'spki' }), kid: 'p' },
      { pem, kid: 'a b' },
      { pem, kid: 'a', alg: 'RS256' as const },
      { kid: 'a' },
    ]
    for (const key of bad) {
      expect(() => issuerWith({ keys: { issuer: ISSUER, key } }))
        .to.throw()
        .with.property('code', 'config_invalid')
    }
  })

  it('does in docs/issuer.md what the page says', async () => {
    // Inside the package, so that its own name resolves as it does for whoever has installed it.
    const folder = mkdtempSync(join(compiled, 'issuer-example-'))
    try {
      const file = join(folder, 'issuer.mjs')
      writeFileSync(file, exampleIn('issuer.js', 'docs/issuer.md'))
      const env = {
        PATH: process.env['PATH'],
        KNELL_URL: notifier.url,
        KNELL_API_KEY: system.apiKey,
      }
      const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder, env })
      expect(stdout.trim().split('\n')).to.deep.equal([
        'refreshed 300 true',
        'check_refused the account is not active true',
      ])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('says nothing of a key where it is bad', () => {
    const pem = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0LXNlY3JldA==\n-----END PRIVATE KEY-----'
    try {
      issuerWith({ keys: { issuer: ISSUER, key: { pem, kid: 'a' } } })
      expect.fail('It was taken.')
    } catch (error) {
      expect(JSON.stringify(error) + String(error)).not.to.include('c2Vjcm')
    }
  })
})
