import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve, sep } from 'node:path'
import { checkout } from '../checkout.ts'
import { clearAfterDeath } from '../engines/leftovers.ts'
import type { Engines } from '../engines/engines.ts'
import { exitCodeOf, onInterrupt } from '../interrupt.ts'

/** Which engines the tests are given. */
export type TestEngines = Pick<Engines, 'amqpUrl' | 'redisUrl' | 'namespace'>

/** What mocha's reporter counted. */
export interface TestCounts {
  readonly passes: number
  readonly failures: number
  readonly pending: number
  readonly durationMs: number
  /** The full titles of those that failed. */
  readonly failed: readonly string[]
}

export interface MochaRun {
  readonly code: number
  /** Absent where mocha ended before it could report. */
  readonly counts?: TestCounts
}

/** Where no test is named: all but those that need minutes, and a command of their own. */
const everyday = ['dist/test/**/*.test.js', '--ignore', 'dist/test/clusters/**']

/** Runs mocha on the compiled tests. Options that always hold are in `.mocharc.json`. `env`: what it is told besides the engines. */
export async function runMocha(
  engines: TestEngines,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<MochaRun> {
  const named = args.map(toMochaArg)
  const specs = named.some((arg) => arg.endsWith('.js')) ? [] : everyday
  const folder = await mkdtemp(join(tmpdir(), 'knell-counts-'))
  const forgetFolder = clearAfterDeath({ kind: 'folder', path: folder })
  const file = join(folder, 'counts.json')
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
        KNELL_TEST_COUNTS: file,
        ...env,
      },
      // In a group of its own, so that one Ctrl-C reaches it once, and through us.
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  )
  const forget = mocha.pid ? clearAfterDeath({ kind: 'group', pid: mocha.pid }) : () => {}
  onInterrupt((signal) => mocha.kill(signal))
  try {
    const code = await new Promise<number>((resolveCode, reject) => {
      mocha.once('error', reject)
      mocha.once('exit', (code, signal) => {
        forget()
        resolveCode(code ?? exitCodeOf(signal ?? 'SIGKILL'))
      })
    })
    const text = await readFile(file, 'utf8').catch(() => undefined)
    return { code, ...(text !== undefined && { counts: JSON.parse(text) as TestCounts }) }
  } finally {
    await rm(folder, { recursive: true, force: true })
    forgetFolder()
  }
}

/** Mocha runs the compiled files of a test, a pattern or a folder that is named by its source. */
function toMochaArg(arg: string): string {
  const file = relative(checkout, resolve(arg))
  if (file !== 'test' && !file.startsWith(`test${sep}`)) return arg
  if (file.endsWith('.ts')) return `dist/${file.replace(/\.ts$/, '.js')}`
  return statSync(resolve(arg), { throwIfNoEntry: false })?.isDirectory()
    ? `dist/${file}/**/*.test.js`
    : arg
}
