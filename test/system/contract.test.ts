import { expect } from 'chai'
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { checkout } from '../../shared/cli/checkout.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { scopes } from '../../shared/config/api-keys.ts'
import { entryId } from '../../shared/domain/partial-entry.ts'
import { parseEntry } from '../../shared/domain/entry.ts'
import { captureMessages, type Capture, type Captured } from '../support/capture.ts'
import { ContractClient, type Asked } from '../support/contract-client.ts'
import { createChecker, type Check } from '../support/contract-schemas.ts'
import { eventually } from '../support/eventually.ts'
import { basicOf } from '../support/oauth.ts'
import { createIssuer } from '../support/issuer.ts'
import { createSamples } from '../support/sample-calls.ts'
import { operations, problemsBy } from '../support/openapi.ts'
import { call, createSystem, now, oldToken, type TestSystem } from '../support/system.ts'

const issuer = createIssuer()
const token = (sub: string): string => issuer.token(sub)
const namedScopes = scopes.filter((scope) => scope !== '*')
const nonce = 'abcdefghijklmnop'
const ID = 'r0-1-1-0'
const CLIENT_SECRET = 'secret-of-a-client-0123'
const basic = basicOf('web', CLIENT_SECRET)

describe('the contract, on a real system', function () {
  this.timeout(60_000)
  let folder: string
  let system: TestSystem
  let capture: Capture
  let notifier: KnellProcess
  /** Signs what it answers and publishes. */
  let signing: KnellProcess
  let poller: KnellProcess
  let client: ContractClient
  const secretOf = (scope: string): string => `secret-of-${scope.replace(':', '-')}-0123456789`

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'knell-contract-'))
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'e1' }
    const file = join(folder, 'event-keys.json')
    writeFileSync(file, JSON.stringify({ keys: [jwk] }), { mode: 0o600 })
    const clients = join(folder, 'clients.json')
    writeFileSync(clients, JSON.stringify({ web: { secret: CLIENT_SECRET }, app: {} }))
    const all = secretOf('all')
    const cut = namedScopes.map((scope) => `${scope.replace(':', '-')}=${secretOf(scope)}:${scope}`)
    system = createSystem({
      API_KEYS: [`all=${all}:*`, ...cut].join(' '),
      ISSUER: issuer.verify.issuer,
      JWT_KEYS: JSON.stringify(issuer.verify.keys),
      EXPIRING_LEAD: '2s',
      LOGOUT_AUDIENCE: 'shop',
      ISSUER_ENABLED: '1',
      CLIENTS_FILE: clients,
      KEY_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
    })
    client = new ContractClient(all)
    capture = await captureMessages(String(system.env['AMQP_URL']), system.namespace)
    notifier = await system.start('notifier')
    signing = await system.start('notifier', { EVENT_SIGNING_KEYS: file })
    poller = await system.start('poller')
  })

  after(async () => {
    await system?.stop()
    await capture?.close()
    if (folder !== undefined) rmSync(folder, { recursive: true })
  })

  const ask = (name: string, asked?: Asked) => client.ask(notifier, name, asked)
  const revoke = (body: object, headers = {}) => ask('POST /v1/revocations', { body, headers })

  it('answers whatever is done with a session as it is described', async () => {
    const login = await ask('POST /v1/sessions', {
      body: { sub: 'rita', client_id: 'web', aud: ['a', 'b'], claims: { roles: [] } },
    })
    const alone = { sub: 'rita', client_id: 'web', aud: 'a', refresh: false }
    expect((await ask('POST /v1/sessions', { body: alone })).status).to.equal(201)
    const { refresh_token: refreshToken, sid } = login.body as Record<string, string>
    const body = { refreshToken, client_id: 'web' }
    expect((await ask('POST /v1/sessions/lookup', { body })).status).to.equal(200)
    expect((await ask('POST /v1/sessions/refresh', { body })).status).to.equal(200)
    const ended = await ask('POST /v1/sessions/end', { body: { sid, by: 'rita' } })
    expect(ended.status).to.equal(200)
    expect((await ask('POST /v1/sessions/lookup', { body })).status).to.equal(400)
  })

  it('answers revocations that are sent at once as it is described', async () => {
    const hold = { reviewBy: now() + 600, outcome: 'release' }
    const many = await revoke([{ match: { jti: 'j-1' } }, { match: { sub: 'held' }, hold }])
    expect(many.status).to.equal(201)
  })

  it('answers every change of rules as it is described', async () => {
    const done = await revoke(
      {
        match: { sub: 'alice' },
        except: { sid: 's-1' },
        issuedBefore: now() - 30,
        reason: 'logout',
        by: 'admin',
        note: 'asked for',
        wait: { for: 'all', timeoutMs: 2000 },
      },
      { 'idempotency-key': 'k1', 'knell-via': 'cli' },
    )
    expect(done.status).to.equal(201)
    await revoke({ match: { sub: 'alice' }, reason: 'breach' })
    await revoke({ match: { jti: randomUUID() } })
    expect((await revoke({ token: token('tom') })).status).to.equal(201)
    expect((await revoke({ match: { kid: 'k9' } })).status).to.equal(201)
    const hold = { reviewBy: now() + 600, outcome: 'revoke' }
    expect((await revoke({ match: { sub: 'erin' }, hold })).status).to.equal(201)
    const later = await revoke({ match: { sub: 'frank' }, at: now() + 600 })
    await revoke({ match: { sub: 'frank' }, at: now() + 700, hold, dryRun: true })
    await revoke({
      match: { sub: 'gina' },
      at: now() + 500,
      hold: { ...hold, reviewBy: now() + 900 },
    })
    await ask('GET /v1/schedules', { query: { limit: '1' } })
    const { id } = later.body as { id: string }
    expect((await ask('DELETE /v1/schedules', { query: { id } })).status).to.equal(200)
    await revoke({ match: { sub: 'alice' }, dryRun: true })
    await ask('POST /v1/revocations/release', { body: { match: { sub: 'erin' } } })
    await ask('POST /v1/revocations/restore', { body: { match: { kid: 'k9' }, note: 'a mistake' } })
    await ask('GET /v1/revocations', { query: { sub: 'alice' } })
    await ask('GET /v1/revocations', { query: { match: '{"n":5}' } })
    await ask('GET /v1/revocations', { query: { limit: '1' } })
    await ask('PUT /v1/max-token-ttl', { body: { maxTokenTtl: '23h' } })
  })

  it('answers every registration as it is described', async () => {
    const exp = now() + 4
    const good = { claims: { jti: 'a', sub: 'x', sid: 's', client_id: 'c', exp } }
    await ask('POST /v1/tokens', { body: good })
    await ask('POST /v1/tokens', { body: [good, { claims: {} }, { token: token('ursula') }] })
    const { body } = await ask('POST /v1/tokens', { lines: [good, { claims: { jti: 'b' } }] })
    expect(body).to.include({ registered: 1, rejectedCount: 1 })
  })

  it('answers mistakes with the codes that are described', async () => {
    const wrong = async (name: string, asked: Asked, code: string): Promise<void> => {
      const { body } = await ask(name, { ...asked, isWrong: true })
      expect(body).to.include({ code })
    }
    await wrong('POST /v1/revocations', { body: { match: [] } }, 'invalid_match')
    await wrong('POST /v1/revocations', { body: { match: {}, later: 1 } }, 'invalid_request')
    await wrong('POST /v1/revocations', { body: { token: 'x' } }, 'token_malformed')
    await wrong('POST /v1/revocations', { body: [{ token: 'x' }] }, 'token_malformed')
    await wrong(
      'POST /v1/revocations',
      { body: { match: { sub: 'a' }, issuedBefore: now() + 9999 } },
      'issued_before_in_future',
    )
    const headers = { 'idempotency-key': 'k1' }
    await wrong(
      'POST /v1/revocations',
      { body: { match: { sub: 'another' } }, headers },
      'idempotency_conflict',
    )
    await wrong('POST /v1/revocations/restore', { body: { id: ID } }, 'unknown_revocation')
    await wrong('GET /v1/feed', { query: { after: '1-1' } }, 'invalid_position')
    await wrong('GET /v1/feed', { query: { limit: 'x' } }, 'invalid_request')
    await wrong('GET /v1/snapshot', { query: { tenant: 'nobody' } }, 'unknown_tenant')
    await wrong('POST /v1/acks', { body: { v: 2 } }, 'message_invalid')
    await wrong('GET /v1/dead', { query: { service: 'nobody' } }, 'unknown_service')
    await wrong('POST /v1/tokens', { body: { claims: { jti: 'c', exp: 1 } } }, 'token_expired')
    await wrong('GET /v1/feed', { headers: { authorization: 'Bearer x' } }, 'unauthorized')
  })

  it('serves whoever follows as it is described, signed and unsigned', async () => {
    const subscriber = await system.subscribe({
      service: 'orders',
      pull: [notifier.url],
      apiKey: secretOf('all'),
    })
    let fails = true
    await subscriber.handle(
      ['revoked'],
      () => {
        if (fails) throw new Error('not yet')
      },
      { maxAttempts: 1 },
    )
    await revoke({
      match: { sub: 'heidi' },
      wait: { for: 'all', services: ['orders', 'none'], timeoutMs: 1000 },
    })
    await eventually(
      async () =>
        (await ask('GET /v1/dead', { query: { service: 'orders' } })).text.includes('not yet'),
      { what: 'a dead letter', timeoutMs: 20_000 },
    )
    fails = false
    await ask('POST /v1/dead/replay', { body: { service: 'orders', all: true, limit: 10 } })
    const who = { service: 'reader', instance: 'i-1', maxStalenessMs: '5000', nonce }
    const after = '0-0,0-0,0-0,0-0'
    for (const process of [notifier, signing, poller]) {
      await client.ask(process, 'GET /v1/snapshot', { query: who })
      const headers = { prefer: 'respond-async, knell-runs' }
      const { text } = await client.ask(process, 'GET /v1/snapshot', { query: who, headers })
      expect(text).to.include('"jtis":"')
      const query = { ...who, after, asOf: '0', waitMs: '10' }
      const { body } = await client.ask(process, 'GET /v1/feed', { query })
      expect(Boolean((body as { envelope?: unknown }).envelope)).to.equal(process === signing)
      await client.ask(process, 'GET /v1/feed', { query: { log: 'expiries', after } })
      const claims = { sub: 'heidi', ...oldToken() }
      await client.ask(process, 'POST /v1/check', { body: { claims, header: {}, nonce } })
      await client.ask(process, 'GET /v1/subscribers')
    }
    const ack = {
      v: 1,
      tenant: 'default',
      service: 'reader',
      instance: 'i-1',
      at: 0,
      state: 'joining',
      applied: { revocations: [] },
      staleMs: null,
      maxStalenessMs: 5000,
    }
    expect((await ask('POST /v1/acks', { body: ack })).body).to.deep.equal({ taken: 1 })
    await ask('DELETE /v1/subscribers', { query: { service: 'reader', instance: 'i-1' } })
    await client.ask(signing, 'POST /v1/revocations', { body: { match: { sub: 'ivan' } } })
  })

  it('revokes a signing key as it is described', async () => {
    const { keys } = (await ask('POST /v1/keys/rotate', { body: { force: true } })).body as {
      keys: { kid: string; state: string }[]
    }
    const kid = keys.find(({ state }) => state === 'active')?.kid
    const told = await ask('POST /v1/keys/revoke', { body: { kid, reason: 'key-compromise' } })
    expect(told.status).to.equal(200)
  })

  it('serves OAuth clients as it is described', async () => {
    const grant = { sub: 'olga', client_id: 'web', aud: 'api', scope: 'a b' }
    const login = (await ask('POST /v1/sessions', { body: grant })).body as Record<string, string>
    const refresh = { grant_type: 'refresh_token', refresh_token: String(login['refresh_token']) }
    const renewed = await ask('POST /oauth/token', { form: refresh, headers: basic })
    expect(renewed.status).to.equal(200)
    const { access_token: token = '' } = renewed.body as { access_token?: string }
    const told = await ask('POST /oauth/introspect', { form: { token } })
    expect(told.body).to.include({ active: true, sub: 'olga' })
    expect((await ask('POST /oauth/revoke', { form: { token }, headers: basic })).status).to.equal(
      200,
    )
    const wrong = async (call: string, asked: Asked, status: number, error: string) => {
      const answer = await ask(call, { ...asked, isWrong: true })
      expect([answer.status, (answer.body as { error?: unknown }).error]).to.deep.equal([
        status,
        error,
      ])
    }
    await wrong(
      'POST /oauth/token',
      { form: { grant_type: 'password' }, headers: basic },
      400,
      'unsupported_grant_type',
    )
    await wrong('POST /oauth/revoke', { form: {}, headers: basic }, 400, 'invalid_request')
    await wrong('POST /oauth/revoke', { form: { token } }, 401, 'invalid_client')
    await wrong('POST /oauth/revoke', { body: { token }, headers: basic }, 415, 'invalid_request')
    await wrong(
      'POST /oauth/introspect',
      { form: { token }, headers: basic },
      403,
      'unauthorized_client',
    )
  })

  it('serves every operation by every process that is said to serve it', async () => {
    const samples = createSamples({ issuer, basic })
    for (const [name, operation] of operations) {
      expect(samples, `add a good call of ${name} to the samples of this test`).to.have.property(
        name,
      )
      for (const kind of operation['x-served-by']) {
        const process = kind === 'notifier' ? notifier : poller
        for (const sample of samples[name] ?? []) await client.ask(process, name, sample)
      }
    }
    const answered = [...client.covered].map((text) => text.split(' ').slice(0, 3).join(' '))
    const wanted = [...operations].flatMap(([name, operation]) =>
      operation['x-served-by'].map((kind) => `${name} ${kind}`),
    )
    expect(wanted.filter((each) => !answered.includes(each))).to.deep.equal([])
  })

  it('adds no call that is not described, and says truly who serves what', () => {
    for (const process of [notifier, poller]) {
      const line = process.output.find((text) => text.includes('"msg":"serving"')) ?? '{}'
      const { calls } = JSON.parse(line) as { calls: readonly string[] }
      const described = [...operations].flatMap(([name, operation]) =>
        operation['x-served-by'].includes(process.kind) ? [name] : [],
      )
      expect(calls.filter((each) => !/^\w+ \/ops(?:\/|$)/.test(each))).to.have.members(described)
    }
  })

  it('asks for the scopes that are described, and for no other', async () => {
    const samples = createSamples({ issuer, basic })
    for (const [name, { security }] of operations) {
      const wanted = security.flatMap(({ key = [] }) => key)
      // Clients of OAuth have no scopes here.
      if (wanted.length === 0 && security.length > 0) continue
      for (const scope of namedScopes) {
        const headers = { authorization: `Bearer ${secretOf(scope)}` }
        const codes: unknown[] = []
        for (const sample of samples[name] ?? []) {
          const asked = { ...sample, headers: { ...sample.headers, ...headers } }
          const { body } = await ask(name, asked)
          const { code, error } = (body ?? {}) as { code?: unknown; error?: unknown }
          codes.push(code ?? error)
        }
        const isLetIn = codes.some((code) => code !== 'forbidden' && code !== 'insufficient_scope')
        const isWanted = wanted.length === 0 || wanted.includes(scope)
        expect(isLetIn, `${name} with ${scope}: ${codes.join()}`).to.equal(isWanted)
      }
    }
  })

  it('publishes what docs/asyncapi.yaml and the schemas describe', async () => {
    const kindsOf = (exchange: string): Set<string> =>
      new Set(
        capture.messages
          .filter((each) => each.exchange === exchange)
          .map(({ properties }) => String(properties.type)),
      )
    await eventually(
      () =>
        kindsOf('revocations').size === 4 &&
        kindsOf('expiries').size === 2 &&
        kindsOf('control').size === 2,
      { what: 'a message of every kind', timeoutMs: 20_000 },
    )
    const checkOf = createChecker({ closed: true })
    for (const message of capture.messages) {
      expect(checkOf(schemaOf(message))(message.body), message.routingKey).to.deep.equal([])
      expectProperties(message)
    }
    const signed = capture.messages.filter(
      ({ properties }) => properties.headers?.['knell-signature'] !== undefined,
    )
    expect(signed.map(({ exchange }) => exchange)).to.include('revocations')
  })

  it('signs what docs/schemas/signed.json describes', async () => {
    const checkOf = createChecker({ closed: true })
    const bodyOf = (check: Check, signed: unknown): void => {
      const { body } = signed as { body: string }
      expect(check(JSON.parse(body))).to.deep.equal([])
    }
    const query = { nonce, after: '0-0,0-0,0-0,0-0' }
    const page = await client.ask(signing, 'GET /v1/feed', { query })
    bodyOf(checkOf('signed.json#/$defs/page'), (page.body as { envelope: unknown }).envelope)
    for (const entry of (page.body as { entries: unknown[] }).entries) {
      bodyOf(checkOf('entry.json'), entry)
    }
    const snapshot = await client.ask(signing, 'GET /v1/snapshot', { query: { nonce } })
    const lines = snapshot.text.trimEnd().split('\n')
    const signedLines = lines.filter((line) => /^\{"(?:checkpoint|end)"/.test(line))
    expect(signedLines).to.have.lengthOf.at.least(2)
    for (const line of signedLines) {
      bodyOf(checkOf('signed.json#/$defs/snapshot'), JSON.parse(line))
    }
    const body = { claims: { sub: 'heidi', ...oldToken() }, nonce }
    const decision = await client.ask(signing, 'POST /v1/check', { body })
    const { envelope } = decision.body as { envelope: unknown }
    bodyOf(checkOf('signed.json#/$defs/decision'), envelope)
  })

  it('answers what is no call, and a process that stops, with a problem', async () => {
    const check = createChecker()('problem.json')
    const nothing = await call(notifier, secretOf('all'), '/v1/nothing')
    expect([nothing.status, check(nothing.body)]).to.deep.equal([404, []])
  })
})

function schemaOf({ exchange, properties }: Captured): string {
  if (exchange !== 'control') return `entry.json#/$defs/${exchange}`
  return properties.type === 'knell.ack' ? 'ack.json' : 'beat.json'
}

const { headers } = (
  parse(readFileSync(join(checkout, 'docs', 'asyncapi.yaml'), 'utf8')) as {
    components: { schemas: { headers: object } }
  }
).components.schemas

function expectProperties({ exchange, routingKey, properties, body }: Captured): void {
  const { tenant, kind, service } = body as Record<string, string>
  expect(properties).to.include({ contentType: 'application/json', appId: 'knell' })
  expect(problemsBy(headers, properties.headers ?? {})).to.deep.equal([])
  if (exchange !== 'control') {
    const entry = parseEntry(body)
    expect(properties).to.include({ type: `knell.${kind}`, deliveryMode: 2 })
    expect(properties.messageId).to.equal(entryId(entry))
    expect(routingKey).to.equal(`${tenant}.${kind}`)
  } else if (properties.type === 'knell.ack') {
    expect(properties).to.include({ deliveryMode: 1 })
    expect(routingKey).to.equal(`${tenant}.ack.${service}`)
  } else {
    expect(properties).to.include({ type: 'knell.beat', deliveryMode: 1 })
    expect(routingKey).to.equal(`${tenant}.beat`)
  }
}
