import { expect } from 'chai'
import type { Page } from 'playwright-core'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { axeProblems, openBrowser, type TestBrowser, type View } from '../support/browser.ts'
import { eventually } from '../support/eventually.ts'
import { call, createSystem, now, type TestSystem } from '../support/system.ts'
import { needTool } from '../support/tools.ts'

const SCREENS = ['', 'token', 'subscribers', 'queues', 'sweeps', 'audit']
const VIEWS = [
  { width: 1280, theme: 'light' },
  { width: 1280, theme: 'dark' },
  { width: 390, theme: 'light' },
  { width: 390, theme: 'dark' },
] as const

describe('the dashboard, for everybody', function () {
  this.timeout(120_000)
  let browser: TestBrowser
  let system: TestSystem
  let notifier: KnellProcess
  const views: View[] = []

  before(async function () {
    const chromium = await needTool(this, 'chromium')
    browser = await openBrowser(chromium)
    system = createSystem()
    notifier = await system.start('notifier')
    await system.start('poller')
    const service = await system.subscribe({ service: 'orders' })
    await service.handle(
      ['revoked'],
      () => {
        throw new Error('the session database is away')
      },
      { maxAttempts: 1 },
    )
    await system.subscribe({ service: 'a-service-with-a-name-of-40-characters-1' })
    const tokens = Array.from({ length: 200 }, (_, i) => ({
      claims: { jti: `t-${i}`, sub: 'alice', iat: now(), exp: now() + 60 + i * 15 },
    }))
    await call(notifier, system.apiKey, '/v1/tokens', tokens)
    const long = `a-subject-with-a-very-long-name-${'x'.repeat(180)}`
    for (const match of [
      { sub: 'alice' },
      { sub: long },
      { sub: 'bob', client_id: 'web', aud: long },
    ]) {
      await call(notifier, system.apiKey, '/v1/revocations', { match, reason: 'breach' })
    }
  })

  after(async () => {
    await browser?.close()
    await system?.stop()
  })

  afterEach(async () => {
    for (const { context } of views.splice(0)) await context.close()
  })

  async function look(options: Parameters<TestBrowser['open']>[0]): Promise<Page> {
    const view = await browser.open(options)
    views.push(view)
    const { page } = view
    await page.goto(`${notifier.url}/ops`)
    await page.getByLabel('Secret of an API key').fill(system.apiKey)
    await page.keyboard.press('Enter')
    await page.getByText('Live', { exact: true }).waitFor()
    return page
  }

  async function show(page: Page, screen: string): Promise<void> {
    const path =
      screen === 'token' ? `token?match=${encodeURIComponent('{"sub":"alice"}')}` : screen
    await page.goto(`${notifier.url}/ops#/${path}`)
    await page.locator(`.screen-${screen}`).waitFor()
    const mark: Record<string, string> = {
      '': 'Enforced everywhere',
      token: 'live instances.',
      subscribers: 'enforces all',
      queues: 'Nothing waits for RabbitMQ for long.',
      sweeps: 'nothing was missed',
      audit: 'breach',
    }
    await page
      .getByText(mark[screen] ?? '')
      .first()
      .waitFor()
  }

  for (const { width, theme } of VIEWS) {
    it(`has nothing for axe to find on any screen at ${width} px, ${theme}, and nothing wider than the page`, async () => {
      const login = await browser.open({ width, theme, isForAxe: true })
      views.push(login)
      await login.page.goto(`${notifier.url}/ops`)
      await login.page.getByLabel('Secret of an API key').waitFor()
      expect(await axeProblems(login.page), 'login').to.deep.equal([])
      const page = await look({ width, theme, isForAxe: true })
      for (const screen of SCREENS) {
        await show(page, screen)
        expect(await axeProblems(page), screen).to.deep.equal([])
        const spare = await page.evaluate<number>(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        )
        expect(spare, `${screen} at ${width} px`).to.be.at.most(0)
      }
      await show(page, '')
      await page.getByRole('button', { name: 'Revoke …' }).click()
      expect(await axeProblems(page), 'the form').to.deep.equal([])
      await page.getByLabel('Value', { exact: true }).fill('carol')
      await page.keyboard.press('Enter')
      await page.getByText('No registered token').waitFor()
      expect(await axeProblems(page), 'the dry run').to.deep.equal([])
      // Charts are drawn, and say as a sentence and in figures what they show.
      await page.keyboard.press('Escape')
      const chart = page.getByRole('figure', { name: 'Tokens due in each minute of the next hour' })
      expect(await chart.locator('canvas').count()).to.equal(1)
      expect(await chart.locator('figcaption').textContent()).to.match(
        /200 tokens in all|1\d\d tokens in all/,
      )
      await chart.getByText('Figures').click()
      await chart.getByRole('row').nth(60).waitFor()
    })
  }

  it('lets what is wider than a narrow screen fade out where there is more', async () => {
    const page = await look({ width: 390 })
    await show(page, '')
    const nav = page.getByRole('navigation')
    const classOf = async (): Promise<string> => (await nav.getAttribute('class')) ?? ''
    await eventually(async () => (await classOf()) === 'has-more-after')
    const mask = "getComputedStyle(document.querySelector('.has-more-after')).maskImage"
    expect(await page.evaluate<string>(mask)).to.match(/^linear-gradient/)
    await nav.getByRole('link', { name: 'Jobs' }).scrollIntoViewIfNeeded()
    await eventually(async () => (await classOf()) === 'has-more-before')
    await show(page, 'subscribers')
    await page.locator('.table-scroll.has-more-after').first().waitFor()
  })

  it('can be used by keyboard alone', async () => {
    const page = await look({})
    const focused = (): Promise<string> =>
      page.evaluate<string>('(document.activeElement?.textContent ?? "").trim()')
    await page.keyboard.press('Tab')
    expect(await focused()).to.equal('Skip to the content')
    await page.keyboard.press('Enter')
    expect(await page.evaluate<string>('document.activeElement?.id ?? ""')).to.equal('main')
    await page.keyboard.press('Tab')
    expect(await focused()).to.equal('Hold …')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    // The focus is in the dialog, stays in it, and goes back to what opened it.
    for (let i = 0; i < 14; i += 1) {
      await page.keyboard.press('Tab')
      const isOutside = await page.evaluate<boolean>(
        'document.activeElement !== document.body && document.activeElement.closest("dialog") === null',
      )
      expect(isOutside, `after ${i + 1} tabs`).to.equal(false)
    }
    await page.keyboard.press('Escape')
    expect(await focused()).to.equal('Revoke …')
    const ring = await page.evaluate<string>(
      'getComputedStyle(document.activeElement).outlineStyle',
    )
    expect(ring).to.equal('solid')
  })

  it('keeps the focus, and what is chosen, while data streams in', async () => {
    const page = await look({})
    await show(page, 'queues')
    const box = page.getByRole('group', { name: 'Dead letters' }).getByRole('checkbox').first()
    await box.check()
    await box.focus()
    // The count of entries has come by the stream after the choice was made.
    const entries = page.getByRole('group', { name: 'Feed and relay' }).getByRole('row').nth(1)
    const before = await entries.textContent()
    await call(notifier, system.apiKey, '/v1/revocations', { match: { sub: 'meanwhile' } })
    await eventually(async () => (await entries.textContent()) !== before)
    expect(await box.isChecked()).to.equal(true)
    expect(await page.evaluate<string>('document.activeElement.type')).to.equal('checkbox')
  })

  it('remembers the theme that was chosen, and moves nothing for whoever wants it still', async () => {
    const page = await look({ theme: 'light' })
    const background = (): Promise<string> =>
      page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
    const light = await background()
    await page.getByRole('button', { name: 'Theme' }).click()
    const dark = await background()
    expect(dark).to.not.equal(light)
    await page.reload()
    await page.getByText('Live', { exact: true }).waitFor()
    expect(await background()).to.equal(dark)
    const animation = (): Promise<string> =>
      page.evaluate<string>(
        'getComputedStyle(document.querySelector(".live-live"), "::before").animationName',
      )
    expect(await animation()).to.equal('breathe')
    await page.emulateMedia({ reducedMotion: 'reduce' })
    expect(await animation()).to.equal('none')
  })
})
