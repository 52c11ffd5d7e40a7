import { expect } from 'chai'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { MAX_SESSIONS } from '../../shared/store/session-store.ts'
import { eventually } from '../support/eventually.ts'
import { logIn, open, OWN, readEvents, send } from '../support/ops-session.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

const TENANTS = { shop: {}, intranet: {} }
const OPS = 'ops-secret-0123456789'
const SHOP = 'shop-secret-0123456789'
const OLD = 'old-secret-0123456789'
const BLIND = 'blind-secret-0123456789'
const CHANGING = 'changing-secret-0123456789'

describe('a session of the dashboard', function () {
  this.timeout(60_000)
  const folder = mkdtempSync(join(tmpdir(), 'knell-ops-'))
  const keysFile = join(folder, 'keys')
  let system: TestSystem
  let notifier: KnellProcess
  let other: KnellProcess

  function writeKeys(changing: string): void {
    const keys = [
      `ops=${OPS}:*`,
      `shop=${SHOP}:ops:read+feed:read@shop`,
      `blind=${BLIND}:feed:read`,
      `old=${OLD}:ops:read`,
      `changing=${changing}:ops:read`,
    ]
    writeFileSync(keysFile, keys.join('\n'))
  }

  before(async () => {
    writeKeys(CHANGING)
    writeFileSync(join(folder, 'tenants.json'), JSON.stringify(TENANTS))
    system = createSystem({
      API_KEYS: '',
      API_KEYS_FILE: keysFile,
      TENANTS_FILE: join(folder, 'tenants.json'),
    })
    ;[notifier, other] = await Promise.all([system.start('notifier'), system.start('notifier')])
  })

  after(async () => {
    await system?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const whoIs = async (url: string, cookie: string): Promise<unknown> => {
    const { body } = await send(`${url}/ops/session`, { headers: { ...OWN, cookie } })
    return (body['session'] as { key?: string } | null)?.key
  }

  it('is asked for before any page but the login, and no page has data or code of its own', async () => {
    const shell = await send(`${notifier.url}/ops`)
    expect([shell.status, shell.headers.location]).to.deep.equal([302, '/ops/login'])
    const { status, headers, text } = await send(`${notifier.url}/ops/login`)
    expect(status).to.equal(200)
    const policy = String(headers['content-security-policy'])
    expect(policy)
      .to.include("default-src 'none'")
      .and.include("script-src 'self'")
      .and.include("frame-ancestors 'none'")
      .and.not.match(/unsafe|https?:|\*/)
    expect(headers).to.include({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    })
    expect(text).to.not.match(/https?:|<style|style=|<script(?![^>]* src=)|\son\w+=/)
    const wanted = await send(`${notifier.url}/ops`, {
      headers: { authorization: `Bearer ${OPS}` },
    })
    expect(wanted.status).to.equal(200)
    expect(wanted.text).to.not.match(/https?:|<style|style=|<script(?![^>]* src=)|\son\w+=/)
  })

  it('serves its files for ever under the name of their content, and leads another version’s to its own', async () => {
    const { text } = await send(`${notifier.url}/ops/login`)
    const script = String(/src="([^"]+login\.js)"/.exec(text)?.[1])
    const found = await send(notifier.url + script)
    expect(found.headers['cache-control']).to.equal('public, max-age=31536000, immutable')
    expect(found.headers['content-type']).to.match(/javascript/)
    expect(found.headers['x-content-type-options']).to.equal('nosniff')
    const older = await send(notifier.url + script.replace(/assets\/\w+/, 'assets/000000000000'))
    expect([older.status, older.headers.location]).to.deep.equal([302, script])
    for (const path of [
      'nothing.js',
      '../../../package.json',
      '%2e%2e/add-ops.js',
      'vendor/uPlot.cjs.js',
    ]) {
      const none = await send(`${notifier.url}${script.replace('login.js', path)}`)
      expect(none.status, path).to.be.oneOf([401, 404])
    }
    const folder = script.replace('login.js', 'vendor')
    for (const path of [`${folder}/../x`, `${folder}/../../x`, `${folder}/%2e%2e/x`]) {
      const { status, body } = await send(notifier.url, { path })
      expect([status, body['code']], path).to.deep.equal([404, 'not_found'])
    }
  })

  it('begins with the secret of a key that may look, and its cookie is out of every script’s and other site’s reach', async () => {
    const body = { secret: OPS }
    const { status, headers, text } = await send(`${notifier.url}/ops/session`, {
      method: 'POST',
      headers: OWN,
      body,
    })
    expect(status).to.equal(200)
    expect(text).to.not.include(OPS)
    const cookie = String(headers['set-cookie']?.[0])
    expect(cookie).to.match(
      /^__Host-knell-ops=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    )
    const login = (secret: string, more = OWN): Promise<number> =>
      send(`${notifier.url}/ops/session`, { method: 'POST', headers: more, body: { secret } }).then(
        (answer) => answer.status,
      )
    expect(await login('wrong-secret-0123456789')).to.equal(401)
    expect(await login(BLIND), 'a key without ops:read').to.equal(403)
    expect(await login(OPS, { 'sec-fetch-site': 'cross-site', 'knell-via': 'ops' })).to.equal(403)
    expect(await login(OPS, {}), 'a form of another site').to.equal(403)
    const trail = await eventually(async () => {
      const { body: page } = await call(notifier, OPS, '/v1/audit?action=login')
      // What was refused is written beside its answer.
      expect(page['audit']).to.have.length(2)
      return page
    })
    const [refused, record] = trail['audit'] as Record<string, unknown>[]
    expect(refused).to.deep.include({
      tenant: null,
      who: { key: 'blind' },
      result: { ok: false, code: 'forbidden' },
    })
    expect(record).to.deep.include({ tenant: null, who: { key: 'ops' }, result: { ok: true } })
    expect(record?.['from']).to.include({ via: 'ops' })
    expect(JSON.stringify(trail)).to.not.match(/secret-0123456789/)
  })

  it('may do on the ordinary API what its key may, and only when the dashboard itself calls', async () => {
    const { cookie } = await logIn(notifier.url, OPS)
    const revoke = (headers: Record<string, string>) =>
      send(`${notifier.url}/v1/revocations`, {
        method: 'POST',
        headers: { cookie, ...headers },
        body: { tenant: 'shop', match: { sub: 'alice' } },
      })
    expect((await revoke(OWN)).status).to.equal(201)
    const forged: Record<string, string>[] = [
      {},
      { 'knell-via': 'ops', 'sec-fetch-site': 'cross-site' },
      { 'knell-via': 'ops', 'sec-fetch-site': 'same-site' },
      { 'knell-via': 'ops', origin: 'https://evil.example' },
      { 'sec-fetch-site': 'same-origin' },
    ]
    for (const headers of forged) {
      const { status, body } = await revoke(headers)
      expect([status, body['code']], JSON.stringify(headers)).to.deep.equal([403, 'forbidden'])
    }
    const read = await send(`${notifier.url}/v1/subscribers?tenant=shop`, { headers: { cookie } })
    expect(read.status, 'a link of another site').to.equal(403)
    const poller = await system.start('poller')
    const there = await send(`${poller.url}/v1/subscribers?tenant=shop`, {
      headers: { ...OWN, cookie },
    })
    expect(there.status, 'the poller knows no sessions').to.equal(401)
  })

  it('is cut to the scopes and tenants of its key', async () => {
    const { cookie } = await logIn(notifier.url, SHOP)
    const headers = { ...OWN, cookie }
    const { body } = await send(`${notifier.url}/ops/session`, { headers })
    expect(body['session']).to.deep.include({
      key: 'shop',
      tenants: ['shop'],
      ofAllTenants: false,
      scopes: ['ops:read', 'feed:read'],
    })
    const status = async (path: string, method = 'GET', sent?: object): Promise<number> =>
      (await send(notifier.url + path, { method, headers, body: sent })).status
    expect(await status('/v1/subscribers?tenant=shop')).to.equal(200)
    expect(await status('/v1/subscribers?tenant=intranet')).to.equal(403)
    expect(await status('/v1/sweeps')).to.equal(403)
    expect(await status('/ops/jobs')).to.equal(403)
    expect(await status('/ops/events?tenant=intranet')).to.equal(403)
    const match = { tenant: 'shop', match: { sub: 'a' } }
    expect(await status('/v1/revocations', 'POST', match)).to.equal(403)
    const stream = await open(`${notifier.url}/ops/events?tenant=shop`, { headers })
    const events = await readEvents(stream, ({ event }) => event === 'queues')
    const refused = JSON.parse(
      String(events.find(({ event }) => event === 'queues')?.data),
    ) as object
    expect(refused).to.have.nested.property('problem.code', 'forbidden')
  })

  it('ends the oldest of its key’s when one more begins than may live, and tells who did so', async () => {
    const first = await logIn(notifier.url, OLD)
    const more: string[] = []
    for (let i = 0; i < MAX_SESSIONS - 1; i++) more.push((await logIn(other.url, OLD)).cookie)
    const before = await call(notifier, OPS, `/v1/audit?action=login&who=old`)
    const results = (body: Record<string, unknown>): unknown[] =>
      (body['audit'] as { result: unknown }[]).map(({ result }) => result)
    expect(results(before.body)).to.deep.equal(more.concat('').map(() => ({ ok: true })))
    const last = await logIn(notifier.url, OLD)
    expect(await whoIs(other.url, first.cookie)).to.equal(undefined)
    expect(await whoIs(other.url, more[0] ?? '')).to.equal('old')
    expect(await whoIs(other.url, last.cookie)).to.equal('old')
    const after = await call(notifier, OPS, `/v1/audit?action=login&who=old&limit=1`)
    expect(results(after.body)).to.deep.equal([{ ok: true, ended: 1 }])
  })

  it('is known to every notifier, and its logout ends it at all of them, with its streams', async () => {
    const { cookie } = await logIn(notifier.url, OPS)
    expect(await whoIs(other.url, cookie)).to.equal('ops')
    const stream = await open(`${other.url}/ops/events?tenant=shop`, {
      headers: { ...OWN, cookie },
    })
    expect(stream.headers['content-type']).to.equal('text/event-stream')
    let isBegun = false
    const reading = readEvents(stream, ({ event }) => {
      isBegun ||= event === 'subscribers'
      return event === 'ended'
    })
    await eventually(() => isBegun)
    const out = await send(`${notifier.url}/ops/session`, {
      method: 'DELETE',
      headers: { ...OWN, cookie },
    })
    expect(out.headers['set-cookie']?.[0]).to.match(/^__Host-knell-ops=; Max-Age=0; Path=\//)
    expect(await whoIs(other.url, cookie)).to.equal(undefined)
    const events = await reading
    expect(events.at(-1)?.event).to.equal('ended')
    expect(events.some(({ event }) => event === 'subscribers')).to.equal(true)
    const ids = events.slice(0, -1).map(({ id }) => Number(id))
    expect(ids).to.deep.equal([...ids].sort((a, b) => a - b))
    const dead = await send(`${other.url}/v1/subscribers`, { headers: { ...OWN, cookie } })
    expect(dead.status).to.equal(401)
    const bare = { authorization: `Bearer ${OPS}` }
    const none = await send(`${notifier.url}/ops/session`, { method: 'DELETE', headers: bare })
    expect(none.status, 'nothing to log out of').to.equal(200)
    const { body: trail } = await call(notifier, OPS, '/v1/audit?action=logout')
    const [record, ...others] = trail['audit'] as Record<string, unknown>[]
    expect(others).to.deep.equal([])
    expect(record).to.deep.include({ tenant: null, who: { key: 'ops' }, result: { ok: true } })
    expect(record?.['from']).to.include({ via: 'ops' })
  })

  it('ends at once when its key is gone or has another secret', async () => {
    const { cookie } = await logIn(notifier.url, CHANGING)
    const stream = await open(`${notifier.url}/ops/events?tenant=shop`, {
      headers: { ...OWN, cookie },
    })
    const reading = readEvents(stream, ({ event }) => event === 'ended')
    const bare = await open(`${notifier.url}/ops/events?tenant=shop`, {
      headers: { authorization: `Bearer ${CHANGING}` },
    })
    const readingBare = readEvents(bare, ({ event }) => event === 'ended')
    writeKeys('another-secret-0123456789')
    await eventually(async () => (await whoIs(notifier.url, cookie)) === undefined)
    expect((await reading).at(-1)?.event).to.equal('ended')
    expect((await readingBare).at(-1)?.event, 'by the secret itself').to.equal('ended')
    writeKeys(CHANGING)
    await eventually(async () => (await whoIs(notifier.url, cookie)) === 'changing')
  })

  it('ends when nobody has done anything for a while, and at its end whatever is done', async () => {
    const idle = await system.start('notifier', { OPS_IDLE: '1s', OPS_SESSION: '4s' })
    const { cookie } = await logIn(idle.url, OPS)
    const begun = performance.now()
    let answers = 0
    // Somebody who does something each moment outlives the idle time, but not the session.
    await eventually(
      async () => {
        if ((await whoIs(idle.url, cookie)) === undefined) return true
        answers += 1
        return false
      },
      { intervalMs: 200 },
    )
    expect(answers).to.be.above(3)
    expect(performance.now() - begun).to.be.above(2500)
    const second = await logIn(idle.url, OPS)
    const stream = await open(`${idle.url}/ops/events?tenant=shop`, {
      headers: { ...OWN, cookie: second.cookie },
    })
    const started = performance.now()
    // A page that only lies open is nobody who does anything.
    const events = await readEvents(stream, ({ event }) => event === 'ended')
    expect(events.at(-1)?.event).to.equal('ended')
    expect(performance.now() - started).to.be.below(3900)
    await idle.stop()
  })

  it('is not needed by whoever sends the secret itself', async () => {
    const headers = { authorization: `Bearer ${OPS}` }
    const { body } = await send(`${notifier.url}/ops/session`, { headers })
    expect(body['session']).to.include({ key: 'ops' })
    const stream = await open(`${notifier.url}/ops/events?tenant=shop`, { headers })
    const events = await readEvents(stream, ({ event }) => event === 'subscribers')
    expect(JSON.parse(String(events.at(-1)?.data))).to.include({ tenant: 'shop' })
    for (const path of ['/ops', '/ops/session', '/ops/events']) {
      const { status } = await send(notifier.url + path, {
        headers: { authorization: 'Bearer wrong-secret-0123456789' },
      })
      expect(status, path).to.equal(path === '/ops' ? 302 : 401)
    }
  })

  it('opens the jobs to look at only', async () => {
    expect((await send(`${notifier.url}/ops/jobs`)).status).to.equal(401)
    const { cookie } = await logIn(notifier.url, OPS)
    const page = await send(`${notifier.url}/ops/jobs`, { headers: { cookie } })
    expect(page.status).to.equal(200)
    expect(page.text).to.not.match(/(?:href|src)="(?:https?:)?\/\//)
    expect(page.headers['content-security-policy']).to.not.match(/https?:|\*/)
    const { body } = await send(`${notifier.url}/ops/jobs/api/queues`, { headers: { cookie } })
    const queues = body['queues'] as { name: string; readOnlyMode: boolean }[]
    expect(queues.map(({ name }) => name)).to.deep.equal(['knell-expiry', 'knell-sweep'])
    expect(queues.every(({ readOnlyMode }) => readOnlyMode)).to.equal(true)
    for (const [path, method] of [
      ['/ops/jobs/api/queues/knell-expiry/pause', 'PUT'],
      ['/ops/jobs/api/queues/knell-expiry/empty', 'PUT'],
      ['/ops/jobs/api/queues/knell-expiry/add', 'POST'],
    ] as const) {
      const { status } = await send(notifier.url + path, {
        method,
        headers: { ...OWN, cookie },
        body: {},
      })
      expect(status, path).to.equal(405)
    }
  })

  it('is nothing that a notifier without a dashboard knows', async () => {
    const { cookie } = await logIn(notifier.url, OPS)
    const plain = await system.start('notifier', { OPS: '0' })
    const bearer = { authorization: `Bearer ${OPS}` }
    expect((await send(`${plain.url}/ops`, { headers: bearer })).status).to.equal(404)
    const { status } = await send(`${plain.url}/v1/subscribers`, { headers: { ...OWN, cookie } })
    expect(status).to.equal(401)
    await plain.stop()
  })

  it('is let go by a notifier that stops, and the streams of one key are bounded', async () => {
    const stopping = await system.start('notifier')
    const headers = { authorization: `Bearer ${OPS}` }
    const streams = await Promise.all(
      Array.from({ length: 50 }, () => open(`${stopping.url}/ops/events?tenant=shop`, { headers })),
    )
    const { status } = await send(`${stopping.url}/ops/events?tenant=shop`, { headers })
    expect(status).to.equal(429)
    const ended = Promise.all(streams.map((stream) => once(stream.resume(), 'end')))
    await stopping.stop()
    await ended
  })

  // The last one: it uses up what this address may fail.
  it('lets no address try secrets for long, by whichever way', async () => {
    const tries = await Promise.all(
      Array.from({ length: 25 }, () =>
        send(`${notifier.url}/ops/session`, {
          method: 'POST',
          headers: OWN,
          body: { secret: 'wrong-secret-0123456789' },
        }),
      ),
    )
    expect(tries.some(({ status }) => status === 429)).to.equal(true)
    const { status } = await send(`${notifier.url}/ops/session`, {
      headers: { authorization: 'Bearer wrong-secret-0123456789' },
    })
    expect(status).to.equal(429)
    expect(await whoIs(notifier.url, (await logIn(notifier.url, OPS)).cookie)).to.equal('ops')
  })
})
