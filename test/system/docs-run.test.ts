import { expect } from 'chai'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { compiled } from '../../shared/cli/checkout.ts'
import { blocksIn, docPages } from '../support/doc-blocks.ts'
import { docsEnv, runDocs } from '../support/run-docs.ts'
import { createSystem, type TestSystem } from '../support/system.ts'

describe('the commands in the docs', function () {
  this.timeout(180_000)
  const folder = join(compiled, 'docs-run')
  let system: TestSystem
  let env: NodeJS.ProcessEnv

  // A system for each page: one must not find dead what another has killed.
  beforeEach(async () => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    system = createSystem()
    const notifier = await system.start('notifier')
    await system.start('poller')
    const orders = await system.subscribe({ service: 'orders' })
    await orders.handle(['revoked'], async () => Promise.resolve())
    env = docsEnv(system, notifier)
  })
  afterEach(async () => {
    await system.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  for (const page of docPages) {
    const blocks = blocksIn(page).filter(({ mark }) => mark === 'run')
    if (blocks.length === 0) continue
    it(`of ${page} run as they stand, one after the other`, async () => {
      const { code, output } = await runDocs(blocks, folder, env)
      expect(code, output.slice(-4000)).to.equal(0)
    })
  }
})
