import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compiled } from '../../shared/cli/checkout.ts'
import { freePort } from '../../shared/cli/engines/free-port.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { blocksIn } from '../support/doc-blocks.ts'
import { eventually } from '../support/eventually.ts'
import { exampleIn } from '../support/example-in.ts'
import { docsEnv, runDocs } from '../support/run-docs.ts'
import { createSystem, type TestSystem } from '../support/system.ts'

const PAGE = 'docs/quick-start.md'

describe('the service of docs/quick-start.md', function () {
  this.timeout(60_000)
  const folder = join(compiled, 'docs-quick-start')
  let system: TestSystem
  let notifier: KnellProcess
  let child: ChildProcess | undefined

  before(async () => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'service.mjs'), exampleIn('quick-start.js', PAGE))
    system = createSystem()
    notifier = await system.start('notifier')
  })
  after(async () => {
    const closed = child && once(child, 'close')
    child?.kill('SIGKILL')
    await closed
    await system.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('runs as it stands, and answers the commands of the page as the page says', async () => {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    child = spawn(process.execPath, [join(folder, 'service.mjs')], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        AMQP_URL: system.env['AMQP_URL'],
        NAMESPACE: system.namespace,
        KNELL_URL: notifier.url,
        KNELL_API_KEY: system.apiKey,
        PORT: String(port),
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const ask = async (): Promise<number> => {
      const response = await fetch(url, { headers: { connection: 'close' } })
      await response.body?.cancel()
      return response.status
    }
    // No claims at all are no reason to fail: such a token is refused.
    await eventually(async () => (await ask().catch(() => 0)) === 401, {
      timeoutMs: 30_000,
      what: 'the service to listen',
    })
    const [, first, last] = blocksIn(PAGE).filter(({ language }) => language === 'sh')
    if (first === undefined || last === undefined) throw new Error('The page lacks its commands.')
    const there = { ...last, text: last.text.replaceAll('localhost:8080', `127.0.0.1:${port}`) }
    const env = { ...docsEnv(system, notifier), ERRORS: '1' }
    const { code, output } = await runDocs([first, there], folder, env)
    expect(code, output).to.equal(0)
    const answers = [...output.matchAll(/^(active|revoked), known \d+ ms ago$/gm)]
    expect(answers.map(([, answer]) => answer)).to.deep.equal(['active', 'revoked'])
    expect(output)
      .to.match(/^HTTP\/1\.1 200 /m)
      .and.match(/^HTTP\/1\.1 401 /m)
    expect(output).to.include('enforced on 1 of 1 instances in ')
  })
})
