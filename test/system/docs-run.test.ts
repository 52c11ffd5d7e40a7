import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, compiled } from '../../shared/cli/checkout.ts'
import { blocksIn, docPages } from '../support/doc-blocks.ts'
import { createSystem, type TestSystem } from '../support/system.ts'

/**
 * What stands before the commands of a page: `knell` is this checkout's, `npm` works from any folder,
 * and a call that is answered by an error ends the run.
 */
const PRELUDE = `set -euo pipefail
knell() { node --enable-source-maps "$COMPILED/shared/cli/knell.js" "$@"; }
npx() { if [ "$1" = knell ]; then shift; knell "$@"; else command npx "$@"; fi; }
npm() { command npm --silent --prefix "$CHECKOUT" "$@"; }
curl() { command curl --fail-with-body "$@"; }
`

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
    const poller = await system.start('poller')
    const orders = await system.subscribe({ service: 'orders' })
    await orders.handle(['revoked'], async () => Promise.resolve())
    env = {
      ...process.env,
      ...system.env,
      KNELL: notifier.url,
      KNELL_URL: notifier.url,
      POLLER: poller.url,
      KEY: system.apiKey,
      KNELL_API_KEY: system.apiKey,
      CHECKOUT: checkout,
      COMPILED: compiled,
      NO_COLOR: '1',
    }
  })
  afterEach(async () => {
    await system.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  for (const page of docPages) {
    const blocks = blocksIn(page).filter(({ mark }) => mark === 'run')
    if (blocks.length === 0) continue
    it(`of ${page} run as they stand, one after the other`, async () => {
      const script = blocks.map(({ line, text }) => `echo "== line ${line}"\n${text}\n`).join('\n')
      const file = join(folder, 'page.sh')
      writeFileSync(file, PRELUDE + script)
      const { code, output } = await run('bash', [file])
      expect(code, output.slice(-4000)).to.equal(0)
    })
  }

  async function run(
    program: string,
    args: readonly string[],
  ): Promise<{ code: number | null; output: string }> {
    const child = spawn(program, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString()
      })
    }
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, output }
  }
})
