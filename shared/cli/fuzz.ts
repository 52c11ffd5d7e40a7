import { randomInt } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkout } from './checkout.ts'
import { openEngines } from './engines/engines.ts'
import { runMocha } from './suites/run-mocha.ts'
import { orExit } from './usage-error.ts'

/**
 * `npm run test:fuzz [-- --minutes N] [test files]`: runs the tests of test/fuzz again and again, each
 * time from another seed, until the time is over or one has failed. With `FUZZ_SEED` they run once.
 */

function read(): { minutes: number; files: readonly string[] } {
  const { values, positionals } = parseArgs({
    options: { minutes: { type: 'string', default: '10' } },
    allowPositionals: true,
  })
  const minutes = Number(values.minutes)
  if (!(minutes > 0)) throw new Error('--minutes must be a number above 0.')
  const missing = positionals.find((file) => !existsSync(join(checkout, file)))
  if (missing !== undefined) {
    throw new Error(`There is no ${missing}; name files of test/fuzz, or none for all of them.`)
  }
  return { minutes, files: positionals.length > 0 ? positionals : ['test/fuzz'] }
}

const { minutes, files } = orExit(read)
const log = (line: string): void => console.error(line)
const given = process.env['FUZZ_SEED']

const engines = await openEngines({ env: process.env, log })
try {
  const end = performance.now() + (given !== undefined ? 0 : minutes * 60_000)
  let code = 0
  let passes = 0
  do {
    const env = { FUZZ_SEED: given ?? String(randomInt(2 ** 31)) }
    code = (await runMocha(engines, files, env)).code
    passes += 1
  } while (code === 0 && performance.now() < end)
  log(`${passes} passes, the last ${code === 0 ? 'good' : 'failed'}.`)
  process.exitCode = code
} finally {
  await engines.stop()
}
