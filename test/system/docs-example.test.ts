import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { compiled } from '../../shared/cli/checkout.ts'
import { eventually } from '../support/eventually.ts'
import { exampleIn } from '../support/example-in.ts'
import { call, createSystem, type TestSystem } from '../support/system.ts'

describe('the example of docs/subscriber.md', function () {
  this.timeout(60_000)
  // Inside the package, so that its own name resolves as it does for whoever has installed it.
  const folder = join(compiled, 'readme-example')
  let system: TestSystem
  let child: ChildProcess | undefined

  before(() => {
    system = createSystem()
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
  })

  after(async () => {
    child?.kill('SIGKILL')
    await system.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('runs as it stands: sees a token revoked, refuses it, and ends on SIGTERM', async () => {
    const notifier = await system.start('notifier')
    const file = join(folder, 'example.mjs')
    writeFileSync(file, exampleIn('subscriber'))
    child = spawn(process.execPath, [file], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        AMQP_URL: system.env['AMQP_URL'],
        KNELL_URL: notifier.url,
        KNELL_API_KEY: system.apiKey,
        NAMESPACE: system.namespace,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const lines: string[] = []
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => lines.push(line))
    }
    const closed = once(child, 'close')
    await eventually(() => lines.includes('connected active'), { what: 'the example to connect' })
    const match = { sub: 'alice' }
    const done = await call(notifier, system.apiKey, '/v1/revocations', { match })
    expect(done.status).to.equal(201)
    await eventually(() => lines.length > 1, { what: 'the example to see it' })
    child.kill('SIGTERM')
    expect(await closed).to.deep.equal([0, null])
    expect(lines).to.deep.equal(['connected active', 'revoked {"sub":"alice"} revoked'])
  })
})
