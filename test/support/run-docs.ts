import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, compiled } from '../../shared/cli/checkout.ts'
import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { DocBlock } from './doc-blocks.ts'
import type { TestSystem } from './system.ts'

/**
 * What stands before the commands of a page: `knell` is this checkout's, `npm` works from any folder,
 * and a call that is answered by an error ends the run, unless `ERRORS=1`.
 */
const PRELUDE = `set -euo pipefail
knell() { node --enable-source-maps "$COMPILED/shared/cli/knell.js" "$@"; }
npx() { if [ "$1" = knell ]; then shift; knell "$@"; else command npx "$@"; fi; }
npm() { command npm --silent --prefix "$CHECKOUT" "$@"; }
if [ -z "\${ERRORS:-}" ]; then curl() { command curl --fail-with-body "$@"; }; fi
`

/** What the commands of the docs find in their environment. */
export function docsEnv(system: TestSystem, notifier: KnellProcess): NodeJS.ProcessEnv {
  return {
    ...process.env,
    ...system.env,
    KNELL: notifier.url,
    KNELL_URL: notifier.url,
    KEY: system.apiKey,
    KNELL_API_KEY: system.apiKey,
    CHECKOUT: checkout,
    COMPILED: compiled,
    NO_COLOR: '1',
  }
}

/** Runs blocks of a page in one shell, one after the other. */
export async function runDocs(
  blocks: readonly DocBlock[],
  folder: string,
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; output: string }> {
  const script = blocks.map(({ line, text }) => `echo "== line ${line}"\n${text}\n`).join('\n')
  const file = join(folder, 'page.sh')
  writeFileSync(file, PRELUDE + script)
  const child = spawn('bash', [file], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}
