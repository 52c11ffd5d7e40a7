import { spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { relative, resolve, sep } from 'node:path'
import { checkout } from './checkout.ts'
import { clearAfterDeath } from './engines/leftovers.ts'
import { openEngines, type Engines } from './engines/engines.ts'
import { exitCodeOf, onInterrupt } from './interrupt.ts'

/**
 * `npm test [-- <mocha options or test files>]`: opens the engines, runs mocha on the compiled tests
 * and ends with its exit code. Options that always hold are in `.mocharc.json`.
 */

const log = (line: string): void => console.error(line)

/** Mocha runs the compiled files of a test, a pattern or a folder that is named by its source. */
function toMochaArg(arg: string): string {
  const file = relative(checkout, resolve(arg))
  if (file !== 'test' && !file.startsWith(`test${sep}`)) return arg
  if (file.endsWith('.ts')) return `dist/${file.replace(/\.ts$/, '.js')}`
  return statSync(resolve(arg), { throwIfNoEntry: false })?.isDirectory()
    ? `dist/${file}/**/*.test.js`
    : arg
}

async function runMocha(engines: Engines, args: readonly string[]): Promise<number> {
  const named = args.map(toMochaArg)
  const specs = named.some((arg) => arg.endsWith('.js')) ? [] : ['dist/test/**/*.test.js']
  const mocha = spawn(
    process.execPath,
    ['--enable-source-maps', 'node_modules/mocha/bin/mocha.js', ...named, ...specs],
    {
      cwd: checkout,
      env: {
        ...process.env,
        AMQP_URL: engines.amqpUrl,
        REDIS_URL: engines.redisUrl,
        NAMESPACE: engines.namespace,
        KNELL_TEST_ENGINES: '1',
      },
      // In a group of its own, so that one Ctrl-C reaches it once, and through us.
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  )
  const forget = mocha.pid ? clearAfterDeath({ kind: 'group', pid: mocha.pid }) : () => {}
  onInterrupt((signal) => mocha.kill(signal))
  return new Promise((resolveCode, reject) => {
    mocha.once('error', reject)
    mocha.once('exit', (code, signal) => {
      forget()
      resolveCode(code ?? exitCodeOf(signal ?? 'SIGKILL'))
    })
  })
}

const engines = await openEngines({ env: process.env, log })
try {
  process.exitCode = await runMocha(engines, process.argv.slice(2))
} finally {
  await engines.stop()
}
