import { openEngines } from './engines/engines.ts'
import { runMocha } from './suites/run-mocha.ts'

/**
 * `npm test [-- <mocha options or test files>]`: opens the engines, runs mocha on the compiled tests
 * and ends with its exit code.
 */
const engines = await openEngines({ env: process.env, log: (line) => console.error(line) })
try {
  process.exitCode = (await runMocha(engines, process.argv.slice(2))).code
} finally {
  await engines.stop()
}
