import { expect } from 'chai'
import type { Page } from 'playwright-core'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { openProxy, type Proxy } from '../../shared/testing/tcp-proxy.ts'
import { openBrowser, type TestBrowser, type View } from '../support/browser.ts'
import { eventually } from '../support/eventually.ts'
import { engineUrl } from '../support/store.ts'
import { createSystem, type TestSystem } from '../support/system.ts'
import { needTool } from '../support/tools.ts'

/** Keeps what the pill of liveness said, and counts the health events of a second stream. */
const WATCH = `
  window.said = []
  window.beats = 0
  const pill = document.querySelector('.live')
  new MutationObserver(() => window.said.push(pill.textContent)).observe(pill, {
    childList: true, characterData: true, subtree: true,
  })
  window.second = new EventSource('/ops/events?tenant=default')
  window.second.addEventListener('health', () => { window.beats += 1 })
`

describe('the dashboard of what is lost', function () {
  this.timeout(90_000)
  let browser: TestBrowser
  let system: TestSystem
  let redis: Proxy
  let notifier: KnellProcess
  let view: View
  let page: Page

  before(async function () {
    const chromium = await needTool(this, 'chromium')
    browser = await openBrowser(chromium)
    const { hostname, port } = new URL(engineUrl('REDIS_URL'))
    redis = await openProxy({ target: { host: hostname, port: Number(port || 6379) } })
    system = createSystem()
    notifier = await system.start('notifier', { REDIS_URL: redis.url(engineUrl('REDIS_URL')) })
    await system.start('poller')
    const service = await system.subscribe({ service: 'orders' })
    await service.handle(['revoked'], () => {})
    view = await browser.open()
    ;({ page } = view)
    await page.goto(`${notifier.url}/ops`)
    await page.getByLabel('Secret of an API key').fill(system.apiKey)
    await page.keyboard.press('Enter')
    await page.getByText('Enforced everywhere').waitFor()
  })

  after(async () => {
    await view?.context.close()
    await browser?.close()
    await system?.stop()
    await redis?.close()
  })

  const verdict = () => page.getByRole('region', { name: 'Is everything enforced?' })

  it('says whose time its clocks show', async () => {
    await page.getByText(/^Clock times are those of \S+/).waitFor()
  })

  it('shows no number, and blames no key, for what nobody can tell while the store is away, and stays live', async () => {
    await page.evaluate(WATCH)
    await eventually(async () => (await page.evaluate<number>('window.beats')) > 0)
    redis.stall()
    await page.getByText('The store (Redis) is away', { exact: true }).waitFor()
    const figures = page.locator('.figures')
    // What is due is read every ten seconds.
    await eventually(async () => (await figures.getByText('not known: the store').count()) === 6, {
      timeoutMs: 30_000,
    })
    expect(await page.getByText('not for this key').count()).to.equal(0)
    await verdict().getByText('Not known', { exact: true }).waitFor()
    expect(await verdict().locator('dd').allTextContents()).to.deep.equal(['–', '–', '–'])
    await page.getByRole('navigation').getByRole('link', { name: 'Queues' }).click()
    const letters = page.getByRole('region', { name: 'Dead letters' })
    await letters.locator('.part-problem').waitFor()
    expect(await page.getByText('No service has handlers').count()).to.equal(0)
    // Health is told every second, however long the rest of the store's silence takes.
    const since = await page.evaluate<number>('window.beats')
    await eventually(async () => (await page.evaluate<number>('window.beats')) >= since + 12, {
      timeoutMs: 30_000,
    })
    expect(await page.evaluate<string[]>('window.said')).to.deep.equal([])
    await redis.resume()
    await page.evaluate('window.second.close()')
    await page.getByRole('navigation').getByRole('link', { name: 'Overview' }).click()
    await verdict().getByText('Enforced everywhere').waitFor()
  })

  it('takes its verdict back a few seconds after the notifier died, and actions say that they reach nothing', async () => {
    await page.goto(`${notifier.url}/ops#/`)
    await verdict().getByText('Enforced everywhere').waitFor()
    await notifier.kill()
    await verdict()
      .getByText(/^Not known since \d\d:\d\d:\d\d$/)
      .waitFor()
    expect(await page.getByText('Enforced everywhere').count()).to.equal(0)
    expect(await verdict().getAttribute('class')).to.equal('verdict verdict-unknown')
    expect(await verdict().locator('dd').allTextContents()).to.deep.equal(['–', '–', '–'])
    await page.getByText('The notifier cannot be reached', { exact: true }).waitFor()
    const filter = await page.evaluate<string>(
      'getComputedStyle(document.querySelector(".screen")).filter',
    )
    expect(filter).to.equal('grayscale(1)')
    await page.getByRole('button', { name: 'Revoke …' }).click()
    await page.getByLabel('Value', { exact: true }).fill('alice')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').getByText('Nothing can be reached').waitFor()
  })
})
