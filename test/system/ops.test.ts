import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { openProxy, type Proxy } from '../../shared/testing/tcp-proxy.ts'
import { openBrowser, type TestBrowser, type View, type ViewOptions } from '../support/browser.ts'
import { eventually } from '../support/eventually.ts'
import { createIssuer } from '../support/issuer.ts'
import { engineUrl } from '../support/store.ts'
import { call, createSystem, dies, now, oldToken, type TestSystem } from '../support/system.ts'
import { needTool } from '../support/tools.ts'

const SHOP = 'shop-secret-0123456789'

describe('the dashboard', function () {
  this.timeout(60_000)
  let browser: TestBrowser
  let system: TestSystem
  let amqp: Proxy
  let notifier: KnellProcess
  let subscriber: Subscriber
  const views: View[] = []
  const folder = mkdtempSync(join(tmpdir(), 'knell-ops-'))

  before(async function () {
    const chromium = await needTool(this, 'chromium')
    browser = await openBrowser(chromium)
    const { hostname, port } = new URL(engineUrl('AMQP_URL'))
    amqp = await openProxy({ target: { host: hostname, port: Number(port || 5672) } })
    const keys = join(folder, 'keys')
    writeFileSync(keys, `shop=${SHOP}:ops:read+feed:read@default`)
    system = createSystem({ API_KEYS_FILE: keys })
    notifier = await system.start('notifier', { AMQP_URL: amqp.url(engineUrl('AMQP_URL')) })
    await system.start('poller')
    subscriber = await system.subscribe({ service: 'orders' })
  })

  after(async () => {
    await browser?.close()
    await system?.stop()
    await amqp?.close()
    rmSync(folder, { recursive: true })
  })

  afterEach(async () => {
    for (const { context } of views.splice(0)) await context.close()
  })

  async function look(options: ViewOptions & { key?: string } = {}): Promise<View> {
    const view = await browser.open(options)
    views.push(view)
    await view.page.goto(`${notifier.url}/ops`)
    await view.page.getByLabel('Secret of an API key').fill(options.key ?? system.apiKey)
    await view.page.getByRole('button', { name: 'Log in' }).click()
    await view.page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
    return view
  }

  async function go(page: Page, screen: string): Promise<void> {
    await page.getByRole('navigation').getByRole('link', { name: screen }).click()
    await page.getByRole('heading', { name: screen, level: 1 }).waitFor()
  }

  /** Presses a button of the dialog that is open. */
  async function press(page: Page, name: string): Promise<void> {
    await page.getByRole('dialog').getByRole('button', { name, exact: true }).click()
  }

  it('leads to the login, and then says that everything is enforced, live and without a complaint', async () => {
    const { page, complaints, sent } = await look()
    await page.getByText('Enforced everywhere').waitFor()
    await page.getByText('Live', { exact: true }).waitFor()
    const name = `orders / ${subscriber.instance.slice(0, 8)}`
    await page.getByText(name).first().waitFor()
    for (const screen of ['Token or subject', 'Subscribers', 'Queues', 'Sweeps', 'Audit']) {
      await go(page, screen)
    }
    await page.getByRole('cell', { name: 'login', exact: true }).first().waitFor()
    await page.goto(`${notifier.url}/ops/jobs`)
    await page.getByText('knell-sweep').first().waitFor()
    expect(complaints).to.deep.equal([])
    const elsewhere = sent.filter(({ url }) => !url.startsWith(`${notifier.url}/`))
    expect(elsewhere.filter(({ url }) => !url.startsWith('data:'))).to.deep.equal([])
  })

  it('refuses a wrong secret in words, logs out, and asks again before anything is shown', async () => {
    const view = await browser.open()
    views.push(view)
    const { page } = view
    await page.goto(`${notifier.url}/ops#/subscribers`)
    await page.getByLabel('Secret of an API key').fill('wrong-secret-0123456789')
    await page.keyboard.press('Enter')
    await page.getByText('No API key has this secret.').waitFor()
    await page.getByLabel('Secret of an API key').fill(system.apiKey)
    await page.keyboard.press('Enter')
    // The screen that was asked for.
    await page.getByRole('heading', { name: 'Subscribers', level: 1 }).waitFor()
    await page.getByRole('button', { name: 'Log out test' }).click()
    await page.getByText('You have logged out.').waitFor()
    await page.goto(`${notifier.url}/ops`)
    await page.getByLabel('Secret of an API key').waitFor()
  })

  it('shows what a revocation would reach, then revokes, and the token is dead in the service', async () => {
    const jtis = ['one', 'two', 'three'].map((name) => `reach-${name}`)
    const tokens = jtis.map((jti) => ({
      claims: { jti, sub: 'alice', iat: now(), exp: now() + 3000 },
    }))
    await call(notifier, system.apiKey, '/v1/tokens', tokens)
    const { page } = await look()
    await page.getByRole('button', { name: 'Revoke …' }).click()
    await page.getByLabel('Value', { exact: true }).fill('alice')
    await page.getByLabel('Reason').selectOption('breach')
    await page.getByLabel('Note for the audit trail').fill('seen on a paste site')
    await press(page, 'Show what it would do')
    await page.getByText('3 registered tokens, and ones that were never registered.').waitFor()
    await page.getByText('Nothing stands: tokens are let in.').waitFor()
    await page.getByText('It reaches 1 live instance of services.').waitFor()
    // Nothing has been done yet.
    expect(subscriber.check({ ...oldToken(), sub: 'alice' }).code).to.equal('active')
    await press(page, 'Revoke')
    await page.getByText(/Revoked: sub = alice, and enforced on 1 of 1 in/).waitFor()
    expect(subscriber.check({ ...oldToken(), sub: 'alice' }).code).to.equal('revoked')
    await press(page, 'Done')
    const row = page.getByRole('row', { name: 'sub = alice' })
    await row.getByText(/on 1 of 1/).waitFor()
    await row.getByText('breach').waitFor()
    const { body } = await call(notifier, system.apiKey, '/v1/audit?action=revoke&sub=alice')
    const [record] = body['audit'] as Record<string, unknown>[]
    expect(record).to.deep.include({ reason: 'breach', note: 'seen on a paste site' })
    expect(record?.['from']).to.include({ via: 'ops' })
  })

  it('asks for the word before a change that reaches across users', async () => {
    const { page } = await look()
    await page.getByRole('button', { name: 'Hold …' }).click()
    await page.getByLabel('the whole tenant').check()
    await press(page, 'Show what it would do')
    await page.getByRole('heading', { name: 'Hold the whole tenant?' }).waitFor()
    await page.getByText('Held: every token').waitFor()
    const hold = page.getByRole('dialog').getByRole('button', { name: 'Hold', exact: true })
    expect(await hold.isDisabled()).to.equal(true)
    await page.getByLabel('Type default to go on').fill('defaul')
    expect(await hold.isDisabled()).to.equal(true)
    await page.getByLabel('Type default to go on').fill('default')
    expect(await hold.isDisabled()).to.equal(false)
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(subscriber.check({ ...oldToken(), sub: 'anybody' }).code).to.equal('active')
  })

  it('tells of a user: held, released, revoked, since when, why, who applied it, and restored', async () => {
    const { page } = await look()
    await go(page, 'Token or subject')
    await page.getByLabel('Token (JWT), or the value of a claim').fill('erin')
    await page.keyboard.press('Enter')
    await page.getByText('Alive: tokens with sub = erin are let in').waitFor()
    await page.getByRole('button', { name: 'Hold …' }).click()
    await press(page, 'Show what it would do')
    await press(page, 'Hold')
    await page.getByText(/Held: sub = erin, and enforced on 1 of 1/).waitFor()
    await press(page, 'Done')
    await page.getByText('Held: tokens with sub = erin are refused').waitFor()
    await page.getByText('1 of 1 live instances.').waitFor()
    await page.getByText(/^since \d+ \w+ \d{4}/).waitFor()
    expect(subscriber.check({ ...oldToken(), sub: 'erin' }).code).to.equal('held')
    await page.getByRole('button', { name: 'Release …' }).click()
    await press(page, 'Release')
    await page.getByText('Released.').waitFor()
    await press(page, 'Done')
    await page.getByText('Alive: tokens with sub = erin are let in').waitFor()
    await page.getByRole('button', { name: 'Revoke …' }).click()
    await page.getByLabel('Reason').selectOption('suspension')
    await press(page, 'Show what it would do')
    await press(page, 'Revoke')
    await press(page, 'Done')
    await page.getByText(/Dead: tokens with sub = erin issued up to/).waitFor()
    await page.getByText('Reason: suspension. Tokens issued later are let in.').waitFor()
    await page.getByRole('button', { name: 'Restore …' }).click()
    await page.getByText('Nothing stands: tokens are let in.').waitFor()
    await press(page, 'Restore')
    await page.getByText('Restored: one revocation is lifted.').waitFor()
    await press(page, 'Done')
    await eventually(() => subscriber.check({ ...oldToken(), sub: 'erin' }).code === 'active')
    const history = page.getByRole('group', { name: 'What was done about it' })
    for (const action of ['hold', 'release', 'revoke', 'restore']) {
      await history.getByRole('cell', { name: action, exact: true }).first().waitFor()
    }
  })

  it('decodes a token in the browser: its text is in no request, no address and no page', async () => {
    const view = await look()
    const { page, sent } = view
    await go(page, 'Token or subject')
    const token = createIssuer().token('frank', { sid: 's-1', jti: 'paste-1', roles: ['admin'] })
    const ask = async (): Promise<void> => {
      await page.getByLabel('Token (JWT), or the value of a claim').fill(token)
      await page.getByRole('button', { name: 'Look up' }).click()
    }
    await ask()
    await page.getByText('Alive: it is let in').waitFor()
    await page.getByText('["admin"]').waitFor()
    await call(notifier, system.apiKey, '/v1/revocations', {
      match: { sub: 'frank' },
      reason: 'logout',
    })
    await dies(subscriber, { sub: 'frank' })
    await ask()
    await page.getByText('Dead: it is revoked').waitFor()
    await page.getByText('Rule of sub = frank').waitFor()
    await page.getByText('Reason: logout. It expires in').waitFor()
    // One that was cut off is no reason to send it either.
    await page.getByLabel('Token (JWT), or the value of a claim').fill(token.slice(0, 60))
    await page.getByRole('button', { name: 'Look up' }).click()
    await page.getByText('Nothing was sent.').waitFor()
    const checks = sent.filter(({ url }) => url.endsWith('/v1/check'))
    expect(checks).to.have.length(2)
    const { claims } = JSON.parse(String(checks[0]?.body)) as { claims: object }
    expect(claims).to.include({ sub: 'frank', jti: 'paste-1' }).and.not.have.property('roles')
    const parts = token.split('.')
    for (const { url, body } of sent) {
      for (const part of parts) expect(`${url} ${body}`).to.not.include(part.slice(0, 30))
    }
    await page.getByLabel('Token (JWT), or the value of a claim').fill('')
    const html = await page.content()
    for (const part of parts) expect(html).to.not.include(part)
    expect(page.url()).to.not.include('eyJ')
  })

  it('puts dead letters back, those that were chosen and all', async () => {
    let isBroken = true
    const handled: string[] = []
    const service = await system.subscribe({ service: 'mailer' })
    await service.handle(
      ['revoked'],
      ({ match }) => {
        if (isBroken) throw new Error('<b>no mail</b> today')
        handled.push(String(match['sub']))
      },
      { maxAttempts: 1 },
    )
    for (const sub of ['dead-1', 'dead-2', 'dead-3']) {
      await call(notifier, system.apiKey, '/v1/revocations', { match: { sub } })
    }
    const { page } = await look()
    await page.getByText(/3 dead letters of mailer/).waitFor()
    await go(page, 'Queues')
    const letters = page.getByRole('group', { name: 'Dead letters' })
    await letters.getByText('Error: <b>no mail</b> today').first().waitFor()
    isBroken = false
    await letters.getByRole('row', { name: 'sub = dead-2' }).getByRole('checkbox').check()
    await page.getByRole('button', { name: 'Replay chosen …' }).click()
    await page.getByText('1 event of mailer goes back to its handlers').waitFor()
    expect(handled).to.deep.equal([])
    await press(page, 'Replay')
    await page.getByText('1 put back.').waitFor()
    await press(page, 'Done')
    await eventually(() => handled.includes('dead-2'))
    await letters.getByRole('row', { name: 'sub = dead-2' }).waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Replay all …' }).click()
    await press(page, 'Replay')
    await page.getByText('2 put back.').waitFor()
    await eventually(() => handled.length === 3)
    await press(page, 'Done')
    await page.getByText('Nothing was given up by mailer').waitFor()
  })

  it('sweeps when it is told to', async () => {
    const { page } = await look()
    await go(page, 'Sweeps')
    await page.getByRole('button', { name: 'Sweep now …' }).click()
    await press(page, 'Sweep now')
    await page.getByText(/^Swept in \d+ ms: /).waitFor()
    await press(page, 'Done')
    const { body } = await call(notifier, system.apiKey, '/v1/audit?action=sweep')
    expect((body['audit'] as { from: object }[])[0]?.from).to.include({ via: 'ops' })
  })

  it('takes what others wrote for text, whatever it looks like', async () => {
    const evil = '<img src=x onerror="document.title=\'taken\'">'
    const { page, complaints } = await look()
    const body = { match: { sub: evil }, note: evil, by: evil }
    await call(notifier, system.apiKey, '/v1/revocations', body)
    await page.getByRole('link', { name: `sub = ${evil}` }).waitFor()
    await page.getByRole('link', { name: `sub = ${evil}` }).click()
    await page.getByText(`Dead: tokens with sub = ${evil}`).waitFor()
    await go(page, 'Audit')
    await page.getByText(`other: ${evil}`).waitFor()
    expect(await page.locator('main img').count()).to.equal(0)
    expect(await page.title()).to.include('Knell')
    expect(complaints).to.deep.equal([])
  })

  it('says in words what a key may not see, and goes on showing the rest', async () => {
    const { page } = await look({ key: SHOP })
    await page.getByText('Enforced everywhere').waitFor()
    await page.getByText('Your API key may not see this.').first().waitFor()
    await page.getByRole('group', { name: 'Recent revocations' }).waitFor()
    expect(await page.getByRole('button', { name: 'Revoke …' }).count()).to.equal(0)
    expect(await page.getByRole('link', { name: 'Jobs' }).count()).to.equal(0)
    await go(page, 'Queues')
    await page.getByText('it needs the scope ops:write').waitFor()
  })

  it('says when RabbitMQ is away, when nothing is live any more, and when all is well again', async () => {
    const { page } = await look()
    await page.getByText('Enforced everywhere').waitFor()
    await amqp.cut()
    await page.getByText('RabbitMQ is away', { exact: true }).waitFor()
    await page.getByText('Enforced, but something is wrong').waitFor()
    // Nobody can count dead letters now, which is not the same as none.
    await page.getByText('not known while RabbitMQ is away').waitFor()
    await amqp.resume()
    await page.getByText('RabbitMQ is away', { exact: true }).waitFor({ state: 'detached' })
    // A notifier that hangs says nothing, and closes nothing.
    process.kill(notifier.pid, 'SIGSTOP')
    await page.getByText(/^Stale since \d\d:\d\d:\d\d$/).waitFor()
    await page.getByText(/^Not known since \d\d:\d\d:\d\d$/).waitFor()
    process.kill(notifier.pid, 'SIGCONT')
    await page.getByText('Live', { exact: true }).waitFor()
    await page.getByText('Enforced everywhere').waitFor()
  })

  it('leads to the login when its session is ended elsewhere', async () => {
    const { page, context } = await look()
    const [cookie] = await context.cookies()
    expect(cookie).to.include({ httpOnly: true, secure: true, sameSite: 'Strict' })
    await fetch(`${notifier.url}/ops/session`, {
      method: 'DELETE',
      headers: {
        connection: 'close',
        'knell-via': 'ops',
        cookie: `${cookie?.name}=${cookie?.value}`,
      },
    })
    await page.getByText('Your session is over. Log in again to go on.').waitFor()
  })
})
