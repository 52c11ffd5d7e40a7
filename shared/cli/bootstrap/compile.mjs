import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundle } from './bundle.mjs'

/** The code of the dashboard that runs in browsers; it has a configuration of its own. */
export const browser = join('notifier', 'ops', 'browser')

/**
 * Compiles the processes and what browsers load from them into a folder, copies what is served as it is,
 * and bundles what services import. Throws with the compiler's words.
 * @param {string} checkout
 * @param {string} out
 */
export function compile(checkout, out) {
  run(checkout, ['-p', 'tsconfig.json', '--outDir', out])
  for (const file of commandsOf(checkout)) chmodSync(join(out, file), 0o755)
  bundle(checkout, out)
  const from = join(checkout, browser)
  if (!existsSync(join(from, 'tsconfig.json'))) return
  run(checkout, ['-p', browser, '--outDir', join(out, browser)])
  for (const file of filesIn(from)) {
    if (/\.(?:js|css|svg)$/.test(file)) cpSync(join(from, file), join(out, browser, file))
  }
}

/**
 * What `package.json` names as commands, by their path in `dist`. npm makes them executable where it
 * installs a package, but nobody does in a checkout, whose `npx knell` runs them as they are.
 * @param {string} checkout
 * @returns {string[]}
 */
function commandsOf(checkout) {
  const { bin = {} } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'))
  return Object.values(bin).map((path) => relative('dist', path))
}

/**
 * @param {string} checkout
 * @param {readonly string[]} args
 */
function run(checkout, args) {
  const compiler = join(checkout, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, ...args], {
    cwd: checkout,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (status !== 0) throw new Error(`The sources do not compile:\n${stdout}${stderr}`.trim())
}

/**
 * The files below a folder, by their path in it; none if it is not there.
 * @param {string} folder
 * @returns {string[]}
 */
export function filesIn(folder) {
  if (!statSync(folder, { throwIfNoEntry: false })) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
}

// `npm run build` runs this file itself.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const checkout = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')
  try {
    compile(checkout, join(checkout, 'dist'))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
