/**
 * `node shared/cli/run.mjs <command> [arguments]`, the command being one of those below
 *
 * The way into every command, also from a fresh checkout: checks Node, installs the dependencies,
 * compiles what has changed, then runs the compiled command in this same process, so that a signal
 * has one receiver. Until then nothing but Node's own modules is there to import. Progress goes to
 * standard error: a command's standard output is its own.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build, isBuilt } from './bootstrap/build.mjs'
import { checkNode } from './bootstrap/check-node.mjs'
import { install, isInstalled } from './bootstrap/install.mjs'
import { withLock } from './bootstrap/lock.mjs'

const commands = [
  'demo',
  'start',
  'test',
  'test-versions',
  'test-clusters',
  'fuzz',
  'simulate',
  'bench',
  'soak',
  'topology',
  'contracts',
  'knell',
]
const checkout = fileURLToPath(new URL('../../', import.meta.url))

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(message)
  process.exit(1)
}

const [command = '', ...args] = process.argv.slice(2)
if (!commands.includes(command)) {
  fail(`Usage: node shared/cli/run.mjs <${commands.join('|')}> [arguments]`)
}
const complaint = checkNode(process.versions.node)
if (complaint !== undefined) fail(complaint)

/** @param {string} line */
const log = (line) => console.error(line)

try {
  if (!isInstalled(checkout) || !isBuilt(checkout)) {
    await withLock(checkout, log, () => {
      // Another copy may have done the work while this one waited for the lock.
      if (!isInstalled(checkout)) install(checkout, log)
      if (!isBuilt(checkout)) build(checkout, log)
    })
  }
} catch (error) {
  fail(error instanceof Error ? error.message : String(error))
}

const file = join(checkout, 'dist', 'shared', 'cli', `${command}.js`)
if (!existsSync(file)) fail(`This checkout has no command "${command}".`)
process.argv = [process.execPath, file, ...args]
try {
  await import(pathToFileURL(file).href)
} catch (error) {
  // A message for the user needs no stack; anything else is a fault of ours and does.
  if (error instanceof Error && error.name === 'SetupError') fail(error.message)
  console.error(error)
  process.exit(1)
}
