import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compiled } from '../../shared/cli/checkout.ts'
import { freePort } from '../../shared/cli/engines/free-port.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import { eventually } from '../support/eventually.ts'
import { exampleIn } from '../support/example-in.ts'
import { call, createSystem, oldToken, type TestSystem } from '../support/system.ts'

describe('the service of docs/quick-start.md', function () {
  this.timeout(60_000)
  const folder = join(compiled, 'docs-quick-start')
  let system: TestSystem
  let notifier: KnellProcess
  let child: ChildProcess | undefined

  before(async () => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'service.mjs'), exampleIn('quick-start.js', 'docs/quick-start.md'))
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

  it('lets a token in, and refuses it once a revocation that waits is answered', async () => {
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
    const claims = JSON.stringify({ ...oldToken(), jti: 't-1', sub: 'alice', sid: 's-1' })
    const ask = async (): Promise<string> => {
      const headers = { 'x-claims': claims, connection: 'close' }
      const response = await fetch(url, { headers })
      return `${response.status} ${await response.text()}`
    }
    await eventually(async () => (await ask().catch(() => '')).startsWith('200 active'), {
      timeoutMs: 30_000,
      what: 'the service to listen',
    })
    const done = await call(notifier, system.apiKey, '/v1/revocations', {
      match: { sub: 'alice' },
      wait: { for: 'all', timeoutMs: 15_000 },
    })
    // The service answers "all" within the first beats of a term only once every instance was heard of.
    expect(done.body['enforced']).to.include({ done: true, live: 1, applied: 1 })
    expect(await ask()).to.match(/^401 revoked, known \d+ ms ago/)
  })
})
