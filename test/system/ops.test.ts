import { expect } from 'chai'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { Subscriber } from '../../shared/subscriber/index.ts'
import { openBrowser, type TestBrowser, type View, type ViewOptions } from '../support/browser.ts'
import { createSystem, type TestSystem } from '../support/system.ts'
import { needTool } from '../support/tools.ts'

describe('the dashboard', function () {
  this.timeout(60_000)
  let browser: TestBrowser
  let system: TestSystem
  let notifier: KnellProcess
  let subscriber: Subscriber
  const views: View[] = []

  before(async function () {
    const chromium = await needTool(this, 'chromium')
    browser = await openBrowser(chromium)
    system = createSystem({ SWEEP_CRON: '*/2 * * * * *' })
    notifier = await system.start('notifier')
    await system.start('poller')
    subscriber = await system.subscribe({ service: 'orders' })
  })

  after(async () => {
    await browser?.close()
    await system?.stop()
  })

  afterEach(async () => {
    for (const { context } of views.splice(0)) await context.close()
  })

  async function look(options: ViewOptions = {}): Promise<View> {
    const view = await browser.open(options)
    views.push(view)
    await view.page.goto(`${notifier.url}/ops`)
    await view.page.getByLabel('Secret of an API key').fill(system.apiKey)
    await view.page.getByRole('button', { name: 'Log in' }).click()
    await view.page.getByRole('heading', { name: 'Overview' }).waitFor()
    return view
  }

  it('leads to the login, and then says that everything is enforced, live and without a complaint', async () => {
    const { page, complaints, sent } = await look()
    await page.getByText('Enforced everywhere').waitFor()
    await page.getByText('Live', { exact: true }).waitFor()
    expect(await page.getByText('Slowest').count()).to.equal(1)
    expect(subscriber.instance).to.be.a('string')
    await page
      .getByText(`orders / ${subscriber.instance.slice(0, 8)}`)
      .first()
      .waitFor()
    expect(complaints).to.deep.equal([])
    expect(sent.filter(({ url }) => !url.startsWith(`${notifier.url}/`))).to.deep.equal([])
  })
})
