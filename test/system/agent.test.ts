import { expect } from 'chai'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { claimsHeaders } from '../../shared/agent/claims-headers.ts'
import { checkout } from '../../shared/cli/checkout.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import { exchange, type RawAnswer } from '../support/fuzz/raw-http.ts'
import { createIssuer } from '../support/issuer.ts'
import {
  agentEnv,
  ask,
  bearerOf,
  runAgent,
  spawnAgent,
  type SpawnedAgent,
} from '../support/spawned-agent.ts'
import { call, createSystem, now, oldToken, type TestSystem } from '../support/system.ts'

describe('knell agent', function () {
  this.timeout(60_000)
  const issuer = createIssuer()
  const folder = mkdtempSync(join(tmpdir(), 'knell-agent-'))
  const keys = join(folder, 'keys.json')
  const keyed = { JWT_KEYS: keys, ISSUER: issuer.verify.issuer }
  const agents: SpawnedAgent[] = []
  let system: TestSystem
  let notifier: KnellProcess
  let agent: SpawnedAgent

  async function start(
    env: Readonly<Record<string, string>> = {},
    args: readonly string[] = [],
  ): Promise<SpawnedAgent> {
    const started = await spawnAgent(agentEnv(system, { ...keyed, ...env }), args)
    agents.push(started)
    return started
  }

  const ready = (one: SpawnedAgent) =>
    eventually(async () => (await ask(one, '/readyz')).status === 200, { what: 'readiness' })

  before(async () => {
    writeFileSync(keys, JSON.stringify(issuer.verify.keys))
    system = createSystem({ BEAT: '300ms' })
    notifier = await system.start('notifier')
    agent = await start()
    await ready(agent)
  })
  after(async () => {
    for (const one of agents) one.kill('SIGKILL')
    await Promise.all(agents.map(({ ended }) => ended))
    await system.stop()
    rmSync(folder, { recursive: true })
  })

  async function revoke(match: object): Promise<void> {
    const wait = { for: 'all', services: ['orders'] }
    const body = { match, reason: 'logout', wait }
    const { status } = await call(notifier, system.apiKey, '/v1/revocations', body)
    expect(status).to.equal(201)
  }

  const authorize = (token: string | undefined, path = '/authorize', method = 'GET') =>
    ask(agent, path, { method, headers: token === undefined ? {} : bearerOf(token) })

  describe('asked by a service', () => {
    it('says with a code what is wrong with a request that is none, or expects what nobody knows', async () => {
      const { port } = new URL(agent.url)
      const send = (text: string) => exchange(Number(port), Buffer.from(text), 10_000)
      const none = (await send('NONSENSE\r\n\r\n')) as RawAnswer
      expect(none.status).to.equal(400)
      expect(none.text).to.include('"code":"invalid_request"')
      const head = 'GET /nothing HTTP/1.1\r\nexpect: miracles\r\nconnection: close\r\n\r\n'
      const expecting = (await send(head)) as RawAnswer
      expect(expecting.status).to.equal(404)
      expect(expecting.text).to.include('"code":"not_found"')
    })

    it('takes a caller who goes away in the middle of a body for no fault of its own', async () => {
      const socket = connect(Number(new URL(agent.url).port), '127.0.0.1')
      await once(socket, 'connect')
      const head =
        'POST /check HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{'
      await new Promise((resolve) => socket.write(head, resolve))
      socket.resetAndDestroy()
      // A later request on another connection is answered after that.
      expect((await ask(agent, '/livez')).status).to.equal(200)
      expect((await ask(agent, '/freshness')).status).to.equal(200)
      expect(agent.output.filter((line) => line.includes('a call failed'))).to.deep.equal([])
    })

    it('decides on claims, and says how fresh it is', async () => {
      const claims = { sub: 'alice', jti: 'a-1', ...oldToken() }
      const alive = await ask(agent, '/check', { body: { claims } })
      expect(alive.status).to.equal(200)
      expect(alive.body).to.include({ active: true, code: 'active', decidedBy: 'view' })
      await revoke({ sub: 'alice' })
      const dead = await ask(agent, '/check', { body: { claims, tenant: 'default' } })
      expect(dead.body).to.include({ active: false, code: 'revoked', reason: 'logout' })
      const foreign = await ask(agent, '/check', { body: { claims, tenant: 'other' } })
      expect(foreign.body).to.include({ active: false, code: 'unknown_issuer' })
      const { body } = await ask(agent, '/freshness')
      expect(body).to.include({ ready: true, push: 'up' })
      const { default: own } = body['tenants'] as Record<string, { staleMs: number }>
      expect(own?.staleMs).to.be.within(0, 60_000)
    })

    it('shows its metrics', async () => {
      const { status, headers, text } = await ask(agent, '/metrics')
      expect(status).to.equal(200)
      expect(headers['content-type']).to.match(/^text\/plain/)
      expect(text)
        .to.match(/^knell_subscriber_checks_total\{.*code="active".*\} [1-9]/m)
        .and.match(/^process_resident_memory_bytes /m)
    })

    it('takes what docs/agent.md sends it', async () => {
      const page = readFileSync(join(checkout, 'docs/agent.md'), 'utf8')
      const [, body = ''] = /\/check -H [^]+? -d '(\{[^']+\})'/.exec(page) ?? []
      expect((await ask(agent, '/check', { body })).body).to.include({ code: 'expired' })
    })

    it('verifies tokens', async () => {
      const good = await ask(agent, '/verify', { body: { token: issuer.token('vera') } })
      expect(good.body).to.include({ active: true, tenant: 'default' })
      expect(good.body['claims']).to.include({ sub: 'vera' })
      const forged = await ask(agent, '/verify', {
        body: { token: createIssuer(issuer.verify.issuer).token('vera') },
      })
      expect(forged.body).to.include({ active: false, code: 'token_signature_invalid' })
      expect(forged.body).to.not.have.property('claims')
    })

    it('refuses what it cannot read, with a code', async () => {
      const claims = {}
      const cases: [path: string, options: Parameters<typeof ask>[2], code: string][] = [
        ['/check', { body: '{' }, 'invalid_json'],
        ['/check', { body: '[]' }, 'invalid_request'],
        ['/check', { body: {} }, 'invalid_request'],
        ['/check', { body: { claims, header: 7 } }, 'invalid_request'],
        ['/check', { body: { claims, tenant: 7 } }, 'invalid_request'],
        ['/check', { body: { claims, clams: {} } }, 'invalid_request'],
        ['/check', { body: { claims: { sub: 'x'.repeat(70_000) } } }, 'body_too_large'],
        ['/verify', { body: { token: 7 } }, 'invalid_request'],
        [
          '/check',
          { body: { claims }, headers: { 'content-type': 'text/plain' } },
          'unsupported_media_type',
        ],
        ['/check', {}, 'not_found'],
        ['/authorized', {}, 'not_found'],
      ]
      for (const [path, options, code] of cases) {
        const answer = await ask(agent, path, options)
        expect(answer.body, code).to.include({ code, status: answer.status })
        expect(answer.status, code).to.be.within(400, 499)
        expect(answer.headers['content-type']).to.include('application/problem+json')
      }
    })
  })

  describe('asked by a proxy', () => {
    it('lets a live token in with its claims as headers, and a dead one no more', async () => {
      const exp = now() + 300
      const claims = { sid: 's-1', client_id: 'app', jti: 'p-1', exp, scope: 'orders:read email' }
      const token = issuer.token('paul', claims)
      const alive = await authorize(token)
      expect(alive.status).to.equal(200)
      expect(alive.text).to.equal('')
      expect(alive.headers).to.include({
        'knell-sub': 'paul',
        'knell-sid': 's-1',
        'knell-client-id': 'app',
        'knell-jti': 'p-1',
        'knell-exp': String(exp),
        'knell-tenant': 'default',
        'knell-scope': 'orders:read email',
        'knell-omitted': '',
        'cache-control': 'no-store',
      })
      const all = JSON.parse(
        Buffer.from(String(alive.headers['knell-claims']), 'base64url').toString(),
      ) as object
      expect(all).to.include({ iss: issuer.verify.issuer, sub: 'paul', ...claims })
      for (const method of ['POST', 'DELETE', 'OPTIONS', 'HEAD']) {
        expect((await authorize(token, '/authorize', method)).status, method).to.equal(200)
      }
      await revoke({ sid: 's-1' })
      const dead = await authorize(token)
      expect(dead.status).to.equal(401)
      expect(dead.body).to.include({ code: 'invalid_token' })
      expect(dead.headers['www-authenticate']).to.include('error="invalid_token"')
      for (const header of claimsHeaders) expect(dead.headers).to.not.have.property(header)
    })

    it('answers as the middleware does where no token, or none that is one, comes', async () => {
      const none = await authorize(undefined)
      expect(none.status).to.equal(401)
      expect(none.headers['www-authenticate']).to.equal('Bearer realm="api"')
      const malformed = await authorize('two words')
      expect(malformed.status).to.equal(400)
      expect(malformed.headers['www-authenticate']).to.include('error="invalid_request"')
      const stranger = await authorize(createIssuer(issuer.verify.issuer).token('x'))
      expect(stranger.status).to.equal(401)
      expect((await authorize('x'.repeat(20_000))).status).to.equal(401)
    })

    it('says of every header something, and nothing that could end it or be too long', async () => {
      const sub = 'zoë 100%\u2603/\ud83d\ude00"'
      const bare = await authorize(issuer.token(sub, { jti: undefined, scp: ['a b', 'c'] }))
      expect(bare.headers['knell-sub']).to.match(/^[\u0021-\u007e]+$/)
      expect(decodeURIComponent(String(bare.headers['knell-sub']))).to.equal(sub)
      expect(bare.headers['knell-scope']).to.equal('a%20b c')
      for (const header of claimsHeaders) expect(bare.headers).to.have.property(header)
      expect(bare.headers).to.include({ 'knell-jti': '', 'knell-sid': '' })
      const long = await authorize(
        issuer.token('\u2603'.repeat(100), { roles: ['x'.repeat(5000)], sid: 's' }),
      )
      expect(long.status).to.equal(200)
      expect(long.headers).to.include({
        'knell-sub': '',
        'knell-sid': 's',
        'knell-claims': '',
        'knell-omitted': 'sub claims',
      })
    })

    it('demands scopes and a tenant where the place says so, but not where the client does', async () => {
      const token = issuer.token('sam', { scope: 'orders:read orders:write' })
      expect((await authorize(token, '/authorize?scope=orders:read')).status).to.equal(200)
      expect((await authorize(token, '/authorize?tenant=default')).status).to.equal(200)
      const both = '/authorize?scope=orders:read%20orders:admin'
      const lacking = await authorize(token, both)
      expect(lacking.status).to.equal(403)
      expect(lacking.body).to.include({ code: 'insufficient_scope' })
      expect(lacking.headers['www-authenticate'])
        .to.include('error="insufficient_scope"')
        .and.include('scope="orders:read orders:admin"')
      const unnamed = await authorize(undefined, both)
      expect(unnamed.status, 'who is not known lacks no scope').to.equal(401)
      const wrong = ['scopes=a', 'tenant=no%20name', 'scope=%22', 'tenant=a&tenant=a']
      for (const query of [
        ...wrong,
        'scope=',
        'scope=%20',
        'scope=orders:read&scope=',
        'tenant=',
      ]) {
        expect((await authorize(token, `/authorize?${query}`)).status, query).to.equal(400)
      }
      expect((await authorize(token, '/authorize?tenant=other')).status).to.equal(404)
      for (const path of ['/authorize/', '/authorize/orders/7?scope=root&tenant=x&y=z']) {
        expect((await authorize(token, path)).status, path).to.equal(200)
      }
    })
  })

  describe('as a process', () => {
    it('listens before its view is ready, lets nobody in until then, and says that it waits', async () => {
      const early = await start({ KNELL_URL: 'http://127.0.0.1:1', EXPOSE_REASON: '1' })
      const readiness = await ask(early, '/readyz')
      expect(readiness.status).to.equal(503)
      expect(readiness.body).to.deep.equal({ status: 'not_ready' })
      expect((await ask(early, '/livez')).status).to.equal(200)
      const refused = await ask(early, '/authorize', { headers: bearerOf(issuer.token('early')) })
      expect(refused.status).to.equal(503)
      expect(refused.body).to.include({ code: 'not_ready' })
      expect(refused.headers).to.have.property('retry-after')
      early.kill('SIGTERM')
      expect(await early.ended).to.equal(0)
    })

    it('ends on SIGTERM, and says that it leaves', async () => {
      const leaving = await start({ SERVICE: 'leaving' })
      await ready(leaving)
      const living = async (): Promise<unknown[]> => {
        const { body } = await call(notifier, system.apiKey, '/v1/subscribers?service=leaving')
        return body['subscribers'] as unknown[]
      }
      await eventually(async () => (await living()).length === 1)
      leaving.kill('SIGTERM')
      expect(await leaving.ended).to.equal(0)
      await eventually(async () => (await living()).length === 0, { what: 'the leaving' })
    })

    it('decides without keys, but then verifies nothing', async () => {
      const keyless = await start({ JWT_KEYS: '', ISSUER: '' })
      await ready(keyless)
      const claims = { sub: 'karl', ...oldToken() }
      expect((await ask(keyless, '/check', { body: { claims } })).body).to.include({ active: true })
      const headers = bearerOf(issuer.token('karl'))
      expect((await ask(keyless, '/authorize', { headers })).status).to.equal(500)
      const body = { token: issuer.token('karl') }
      expect((await ask(keyless, '/verify', { body })).status).to.equal(500)
    })

    it('lets in what the policy lets in while its view is stale', async () => {
      const lenient = await start({ KNELL_URL: 'http://127.0.0.1:1' }, ['--when-stale', 'allow'])
      const headers = bearerOf(issuer.token('lena'))
      await eventually(async () => {
        const { status } = await ask(lenient, '/authorize', { headers })
        return status === 200
      })
    })

    it('tells every problem of its settings at once, without secrets, and ends with 78', async () => {
      const { ended, output } = runAgent(['--listen', '0.0.0.0:7072', '--when-stale', 'maybe'], {
        AMQP_URL: 'http://user:hunter2@rabbit',
        KNELL_URLS: 'http://127.0.0.1:7070',
        JWT_KEYS: '{"keys": "hunter2"}',
        KNELL_API_KEY: 'hunter2',
        KNELL_API_KEY_FILE: join(folder, 'none'),
        TENANTS: 'a b',
      })
      expect(await ended).to.equal(78)
      const text = output.join('\n')
      for (const name of ['AMQP_URL', 'KNELL_URL', 'SERVICE', 'LISTEN', 'WHEN_STALE', 'JWT_KEYS']) {
        expect(text).to.include(`- ${name}: `)
      }
      for (const name of [
        'KNELL_API_KEY',
        'KNELL_API_KEY_FILE',
        'TENANTS',
        'ISSUER',
        'KNELL_URLS',
      ]) {
        expect(text).to.include(`- ${name}: `)
      }
      expect(text).to.not.include('hunter2')
    })

    it('listens where others can reach it only where it is told that this is meant', async () => {
      const open = await start({ LISTEN: '0.0.0.0:0' }, ['--allow-remote'])
      expect(open.url).to.match(/^http:\/\/0\.0\.0\.0:\d+$/)
      const local = await start({ LISTEN: 'localhost:0' })
      expect((await ask(local, '/livez')).status).to.equal(200)
    })
  })

  describe('on a Unix socket', () => {
    const path = join(folder, 'agent.sock')
    const LISTEN = `unix:${path}`

    it('answers whom the mode lets in, and leaves no socket behind', async () => {
      const socketed = await start({ LISTEN })
      expect(socketed.url).to.equal(LISTEN)
      expect(statSync(path).mode & 0o777).to.equal(0o660)
      await ready(socketed)
      const headers = bearerOf(issuer.token('uma'))
      const answer = await ask(socketed, '/authorize', { headers })
      expect(answer.headers).to.include({ 'knell-sub': 'uma' })
      socketed.kill('SIGTERM')
      expect(await socketed.ended).to.equal(0)
      expect(() => statSync(path)).to.throw('ENOENT')
    })

    it('takes over what a killed one left, but not what somebody listens on, nor a file', async () => {
      const killed = await start({ LISTEN, LISTEN_MODE: '0600' })
      expect(statSync(path).mode & 0o777).to.equal(0o600)
      const second = runAgent([], agentEnv(system, { LISTEN }))
      expect(await second.ended).to.equal(78)
      expect(second.output.join('\n')).to.include('another process listens')
      killed.kill('SIGKILL')
      await killed.ended
      expect(statSync(path).isSocket()).to.equal(true)
      const heir = await start({ LISTEN })
      expect((await ask(heir, '/livez')).status).to.equal(200)
      heir.kill('SIGTERM')
      await heir.ended
      const file = join(folder, 'precious')
      writeFileSync(file, 'data')
      const third = runAgent(['--listen', `unix:${file}`], agentEnv(system))
      expect(await third.ended).to.equal(78)
      expect(third.output.join('\n')).to.include('no socket')
      expect(statSync(file).size).to.equal(4)
    })
  })
})
