import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext, type Page } from 'playwright-core'

/** A browser of the machine's own, with a profile that goes away with it. */
export interface TestBrowser {
  open(options?: ViewOptions): Promise<View>
  close(): Promise<void>
}

export interface ViewOptions {
  readonly width?: number
  readonly theme?: 'light' | 'dark'
  /** Lets axe-core in, which the page's own policy keeps out. */
  readonly isForAxe?: boolean
}

/** A page, and everything that it did which it should not have. */
export interface View {
  readonly page: Page
  readonly context: BrowserContext
  /** Errors of its code and of its policy, and what it logged as one. */
  readonly complaints: string[]
  /** Every request: address and body. */
  readonly sent: { readonly method: string; readonly url: string; readonly body: string }[]
}

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export async function openBrowser(executablePath: string): Promise<TestBrowser> {
  const profile = mkdtempSync(join(tmpdir(), 'knell-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: FLAGS,
    headless: true,
  })
  const browser = context.browser()
  if (browser === null) throw new Error('The browser has no handle.')
  return {
    async open({ width = 1280, theme = 'light', isForAxe = false } = {}) {
      const fresh = await browser.newContext({
        viewport: { width, height: 800 },
        colorScheme: theme,
        bypassCSP: isForAxe,
      })
      const page = await fresh.newPage()
      const view: View = { page, context: fresh, complaints: [], sent: [] }
      page.on('pageerror', (error) => view.complaints.push(error.message))
      page.on('console', (message) => {
        if (message.type() === 'error') view.complaints.push(message.text())
      })
      page.on('request', (request) => {
        const body = request.postData() ?? ''
        view.sent.push({ method: request.method(), url: request.url(), body })
      })
      return view
    },
    async close() {
      await context.close()
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface AxeResult {
  readonly violations: readonly {
    readonly id: string
    readonly help: string
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
  }[]
}

/** What axe-core finds wrong with a page that was opened for it, by WCAG 2.2 A and AA and by good practice. */
export async function axeProblems(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate<AxeResult>(
    `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })`,
  )
  return violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary ?? ''}`).join('; ')}`,
  )
}
