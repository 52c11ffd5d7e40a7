import { expect } from 'chai'
import type { GuardOptions, Refusal } from '../../shared/frameworks/index.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { eventually } from './eventually.ts'
import { bearer, get, openCall, textOf, type HttpAnswer } from './http-call.ts'
import { createIssuer, type Issuer } from './issuer.ts'
import { call, createSystem, now, type TestSystem } from './system.ts'

/** The routes that an application under test serves, and the policy of each. */
export const policies = {
  '/me': undefined,
  '/lenient': { whenStale: 'allow' },
  '/asked': { maxStaleness: 1, whenStale: 'ask' },
  '/optional': { optional: true },
  '/cookie': {
    getToken: ({ headers }: { headers: { cookie?: string } }): string | undefined =>
      /token=([^;]*)/.exec(headers.cookie ?? '')?.[1],
  },
  '/other-tenant': { tenant: 'other' },
  '/no-tenant': { tenant: (): undefined => undefined },
  '/faulty': {
    getToken: (): never => {
      throw new Error('the fault of /faulty')
    },
  },
} as const

/** What `/me` and its kind answer. */
export interface Seen {
  readonly sub: unknown
  readonly decision: unknown
  readonly kid: unknown
  readonly tenant: unknown
}

export function seen(request: {
  auth?: Readonly<Record<string, unknown>>
  knell?: { decision: object; header: Readonly<Record<string, unknown>>; tenant: string }
}): Seen {
  const { auth, knell } = request
  return {
    sub: auth?.['sub'] ?? null,
    decision: knell?.decision ?? null,
    kid: knell?.header['kid'] ?? null,
    tenant: knell?.tenant ?? null,
  }
}

export interface App {
  readonly url: string
  close(): Promise<void>
}

export type OpenApp = (
  options: Pick<GuardOptions, 'subscriber' | 'exposeReason' | 'realm' | 'onRefused'>,
) => Promise<App>

const CHALLENGE = 'Bearer realm="a \\"quoted\\" \\\\realm"'
const REALM = String.raw`a "quoted" \realm`

/**
 * What every framework's part is held to: a real server of it, which serves `policies` and
 * `/events` (server-sent events that end with the token; the first one says `hello`), and
 * `/public`, where a framework has such a thing.
 */
export function guardContract(
  name: string,
  openApp: OpenApp,
  more: { public?: boolean } = {},
): void {
  describe(`${name}, guarded`, function () {
    this.timeout(60_000)
    const issuer: Issuer = createIssuer()
    const refusals: Refusal[] = []
    let system: TestSystem
    let notifier: KnellProcess
    let subscriber: Subscriber
    let app: App
    let open: App

    before(async () => {
      system = createSystem({ BEAT: '300ms' })
      notifier = await system.start('notifier')
      subscriber = await system.subscribe({ verify: issuer.verify })
      const onRefused = (refusal: Refusal): void => void refusals.push(refusal)
      app = await openApp({ subscriber, realm: REALM, onRefused })
      open = await openApp({ subscriber, exposeReason: true, onRefused })
    })
    after(async () => {
      await Promise.all([app.close(), open.close()])
      await system.stop()
    })
    beforeEach(() => void refusals.splice(0))

    async function revoke(match: object): Promise<void> {
      const { status } = await call(notifier, system.apiKey, '/v1/revocations', {
        match,
        reason: 'logout',
      })
      expect(status).to.equal(201)
    }

    async function hold(sub: string): Promise<void> {
      const reviewBy = now() + 600
      const body = { match: { sub }, hold: { reviewBy, outcome: 'release' } }
      const { status } = await call(notifier, system.apiKey, '/v1/revocations', body)
      expect(status).to.equal(201)
    }

    function expectRefused(answer: HttpAnswer, status: number, code: string): void {
      expect(answer.status, answer.text).to.equal(status)
      expect(answer.headers['content-type']).to.equal('application/problem+json; charset=utf-8')
      expect(answer.headers['cache-control']).to.equal('no-store')
      expect(answer.body).to.include({ type: 'about:blank', status, code })
      // Every framework gives what the core said, to the byte.
      const told = refusals.at(-1)
      if (told !== undefined) {
        expect(answer.text).to.equal(told.body)
        expect(answer.headers).to.include(told.headers)
      }
    }

    const invalid = `${CHALLENGE}, error="invalid_token", error_description="The token is not valid, or no longer."`

    it('lets a good token in, with its claims and the decision', async () => {
      const { status, body } = await get(`${app.url}/me`, bearer(issuer.token('alice')))
      expect(status).to.equal(200)
      expect(body).to.include({ sub: 'alice', kid: 'k', tenant: 'default' })
      expect(body['decision']).to.include({ active: true, code: 'active', decidedBy: 'view' })
      expect(body['decision']).to.not.have.any.keys('claims', 'header')
      const lower = await get(`${app.url}/me`, ['AUTHORIZATION', `bEARER  ${issuer.token('bob')}`])
      expect(lower.body).to.include({ sub: 'bob' })
    })

    it('asks for credentials with a challenge that names no error', async () => {
      const wanted = [[], ['authorization', 'Basic YTpi'], ['authorization', 'Bearerx abc']]
      for (const headers of wanted) {
        const answer = await get(`${app.url}/me`, headers)
        expectRefused(answer, 401, 'unauthorized')
        expect(answer.headers['www-authenticate']).to.equal(CHALLENGE)
      }
    })

    it('takes no token from the query', async () => {
      const answer = await get(`${app.url}/me?access_token=${issuer.token('alice')}`)
      expectRefused(answer, 401, 'unauthorized')
    })

    it('refuses a malformed request with 400', async () => {
      const token = issuer.token('alice')
      for (const value of [
        '',
        'Bearer',
        'Bearer ',
        `Bearer ${token} x`,
        'Bearer "x"',
        `Bearer\t${token}`,
        'Bearer é',
      ]) {
        const answer = await get(`${app.url}/me`, ['authorization', value])
        expectRefused(answer, 400, 'invalid_request')
        expect(answer.headers['www-authenticate']).to.match(
          /^Bearer realm="a \\"quoted\\" \\\\realm", error="invalid_request", error_description="[^"\\]+"$/,
        )
      }
    })

    it('refuses two Authorization headers, however they are written', async () => {
      const good = bearer(issuer.token('alice'))
      for (const other of [good, bearer('x'), ['Authorization', 'Basic YTpi']]) {
        for (const both of [
          [...good, ...other],
          [...other, ...good],
        ]) {
          expectRefused(await get(`${app.url}/me`, both), 400, 'invalid_request')
        }
      }
      const joined = ['authorization', `${good[1]}, ${good[1]}`]
      expectRefused(await get(`${app.url}/me`, joined), 400, 'invalid_request')
    })

    it('answers every bad token alike, and says only its hook why', async () => {
      const good = issuer.token('alice')
      const bad: Record<string, string> = {
        token_malformed: 'x',
        token_signature_invalid: `${good.slice(0, -8)}AAAAAAAA`,
        token_wrong_issuer: issuer.token('alice', { iss: 'https://other.example' }),
        expired: issuer.token('alice', { exp: now() - 1 }),
        token_unknown_key: createIssuer()
          .token('alice')
          .replace(/^[^.]+/, () =>
            Buffer.from('{"alg":"ES256","kid":"other"}').toString('base64url'),
          ),
        token_too_long_lived: issuer.token('alice', { exp: now() + 1_000_000 }),
      }
      for (const [code, token] of Object.entries(bad)) {
        const answer = await get(`${app.url}/me`, bearer(token))
        expectRefused(answer, 401, 'invalid_token')
        expect(answer.headers['www-authenticate']).to.equal(invalid)
        expect(refusals.pop()).to.include({ code })
      }
    })

    it('refuses a token over 16 KiB', async () => {
      for (const size of [15 * 1024, 16 * 1024 + 1, 18_000]) {
        const answer = await get(`${app.url}/me`, bearer('x'.repeat(size)))
        // Node itself refuses a head of more than 16 KiB, unless told otherwise.
        if (answer.status !== 431) expectRefused(answer, 401, 'invalid_token')
        expect(answer.status).to.be.oneOf([401, 431])
      }
    })

    it('refuses a revoked token, and says why only where it may', async () => {
      const token = issuer.token('carol')
      expect((await get(`${app.url}/me`, bearer(token))).status).to.equal(200)
      await revoke({ sub: 'carol' })
      await eventually(async () => (await get(`${app.url}/me`, bearer(token))).status === 401)
      const answer = await get(`${app.url}/me`, bearer(token))
      expectRefused(answer, 401, 'invalid_token')
      expect(answer.headers['www-authenticate']).to.equal(invalid)
      expect(answer.text).to.not.contain('revoked').and.not.contain('logout')
      expect(refusals.pop()).to.include({ code: 'revoked' })
      const told = await get(`${open.url}/me`, bearer(token))
      expectRefused(told, 401, 'revoked')
      expect(told.body).to.include({ reason: 'logout' })
      expect(told.headers['www-authenticate']).to.equal(
        'Bearer realm="api", error="invalid_token", error_description="The token was refused: revoked (logout)."',
      )
      expect((await get(`${app.url}/optional`, bearer(token))).status).to.equal(401)
    })

    it('refuses a held token', async () => {
      const token = issuer.token('held-one')
      expect((await get(`${app.url}/me`, bearer(token))).status).to.equal(200)
      await hold('held-one')
      await eventually(async () => (await get(`${app.url}/me`, bearer(token))).status === 401)
      expectRefused(await get(`${open.url}/me`, bearer(token)), 401, 'held')
    })

    it('refuses a token whose exp comes between two requests', async () => {
      const token = issuer.token('dora', { exp: now() + 2 })
      expect((await get(`${open.url}/me`, bearer(token))).status).to.equal(200)
      await eventually(async () => (await get(`${open.url}/me`, bearer(token))).status === 401)
      expectRefused(await get(`${open.url}/me`, bearer(token)), 401, 'expired')
    })

    it('goes on without claims where credentials are optional, but not with bad ones', async () => {
      const none = await get(`${app.url}/optional`)
      expect(none.status).to.equal(200)
      expect(none.body).to.deep.equal({ sub: null, decision: null, kid: null, tenant: null })
      const good = await get(`${app.url}/optional`, bearer(issuer.token('alice')))
      expect(good.body).to.include({ sub: 'alice' })
      expectRefused(await get(`${app.url}/optional`, bearer('x')), 401, 'invalid_token')
      expectRefused(
        await get(`${app.url}/optional`, ['authorization', 'Bearer']),
        400,
        'invalid_request',
      )
    })

    it('takes the token from where it is told, and from nowhere else', async () => {
      const token = issuer.token('alice')
      const good = await get(`${app.url}/cookie`, ['cookie', `token=${token}`])
      expect(good.body).to.include({ sub: 'alice' })
      expectRefused(await get(`${app.url}/cookie`, bearer(token)), 401, 'unauthorized')
      expectRefused(await get(`${app.url}/cookie`, ['cookie', 'token=']), 401, 'unauthorized')
      expectRefused(await get(`${app.url}/cookie`, ['cookie', 'token=a b']), 400, 'invalid_request')
    })

    it('refuses a good token at the route of another tenant, or of none', async () => {
      const token = issuer.token('alice')
      for (const path of ['/other-tenant', '/no-tenant']) {
        expectRefused(await get(`${app.url}${path}`, bearer(token)), 401, 'invalid_token')
        expect(refusals.pop()).to.include({ code: 'unknown_issuer' })
      }
    })

    it('answers a fault of its own with 500, tells nothing of it, and lets nobody through', async () => {
      const answer = await get(`${app.url}/faulty`, bearer(issuer.token('alice')))
      expectRefused(answer, 500, 'internal')
      expect(answer.text).to.not.contain('fault of')
      expect(String(refusals.pop()?.cause)).to.contain('the fault of /faulty')
    })

    it('asks the store where a route says so', async () => {
      const token = issuer.token('erin')
      const good = await get(`${app.url}/asked`, bearer(token))
      expect(good.body['decision']).to.include({ active: true, decidedBy: 'store' })
      await revoke({ sub: 'erin' })
      expectRefused(await get(`${app.url}/asked`, bearer(token)), 401, 'invalid_token')
    })

    it('ends a stream of events when its token dies', async () => {
      const token = issuer.token('fred')
      const response = await openCall(`${open.url}/events`, bearer(token))
      expect(response.statusCode).to.equal(200)
      response.setEncoding('utf8')
      const text = textOf(response)
      await revoke({ sub: 'fred' })
      expect(await text).to.match(
        /^data: hello\n\n[^]*event: token-dead\ndata: \{"code":"revoked","reason":"logout"\}\n\n$/,
      )
    })

    if (more.public === true) {
      it('lets everyone in where it is told to', async () => {
        expect((await get(`${app.url}/public`)).status).to.equal(200)
        expect((await get(`${app.url}/public`, bearer('x'))).status).to.equal(200)
      })
    }

    it('answers 503, never 401, when the view is stale; a lenient route goes on; the dead stay dead', async () => {
      const brittle = await system.subscribe({ verify: issuer.verify, maxStaleness: 1500 })
      const strict = await openApp({
        subscriber: brittle,
        onRefused: (one) => void refusals.push(one),
      })
      try {
        const dead = issuer.token('gina')
        await revoke({ sub: 'gina' })
        await eventually(async () => (await get(`${strict.url}/me`, bearer(dead))).status === 401)
        const token = issuer.token('alice')
        // The store is told by a pull, some time after start, that a route goes on when stale.
        await eventually(() => brittle.freshness().awaitedMs === null, { what: 'the pull' })
        await notifier.kill()
        await eventually(async () => (await get(`${strict.url}/me`, bearer(token))).status === 503)
        const answer = await get(`${strict.url}/me`, bearer(token))
        expectRefused(answer, 503, 'stale')
        expect(answer.headers['retry-after']).to.match(/^[1-9]\d*$/)
        expect(answer.headers).to.not.have.property('www-authenticate')
        const lenient = await get(`${strict.url}/lenient`, bearer(token))
        expect(lenient.status, lenient.text).to.equal(200)
        expect(lenient.body['decision']).to.include({ active: true, code: 'stale' })
        expectRefused(await get(`${strict.url}/lenient`, bearer(dead)), 401, 'invalid_token')
        expectRefused(await get(`${strict.url}/asked`, bearer(token)), 503, 'stale')
        expectRefused(await get(`${strict.url}/me`, bearer('x')), 401, 'invalid_token')
      } finally {
        await strict.close()
      }
    })
  })
}
