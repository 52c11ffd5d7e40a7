import { spawnSync } from 'node:child_process'
import { readFileSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Whether `node_modules` holds what `package-lock.json` asks for. npm notes what it has installed in
 * a file of its own there. A lock file that is younger than this note need not say anything else
 * (git sets the time of every file it writes), so then, and only then, the two are compared.
 * @param {string} checkout
 */
export function isInstalled(checkout) {
  const lockFile = join(checkout, 'package-lock.json')
  const note = noteOf(checkout)
  const notedAt = statSync(note, { throwIfNoEntry: false })?.mtimeMs
  if (notedAt === undefined) return false
  if (notedAt >= statSync(lockFile).mtimeMs) return true
  if (!holdsTheSame(readPackages(lockFile), readPackages(note))) return false
  touch(note)
  return true
}

/**
 * Installs exactly what the lock file names. Its output is shown only when it fails.
 *
 * A lock file that was written where the registry lacks some optional packages of other platforms is
 * incomplete to `npm ci`, which then refuses (EUSAGE) before it changes anything. `npm install` takes
 * everything else from the same lock file; without saving, it leaves that file as it is.
 * @param {string} checkout
 * @param {(line: string) => void} log
 */
export function install(checkout, log) {
  log('Installing the npm dependencies (npm ci) ...')
  let result = npm(checkout, ['ci'])
  if (result.status !== 0 && result.output.includes('EUSAGE')) {
    log('npm finds the lock file incomplete for other platforms; installing by it all the same ...')
    result = npm(checkout, ['install', '--no-save'])
  }
  if (result.status !== 0) throw new Error(`npm failed:\n${result.output}`)
  touch(noteOf(checkout))
}

/**
 * @param {string} checkout
 * @param {readonly string[]} command
 */
function npm(checkout, command) {
  // A NODE_ENV of "production" would leave out the compiler.
  const args = [...command, '--include=dev', '--no-audit', '--no-fund']
  const script = process.env.npm_execpath
  const [file, all] = script ? [process.execPath, [script, ...args]] : ['npm', args]
  const { status, stdout, stderr, error } = spawnSync(file, all, {
    cwd: checkout,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  })
  return { status, output: error ? error.message : `${stdout}${stderr}`.trim() }
}

/** @param {string} checkout */
function noteOf(checkout) {
  return join(checkout, 'node_modules', '.package-lock.json')
}

/** @param {string} file */
function touch(file) {
  const now = new Date()
  utimesSync(file, now, now)
}

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean }} Package
 * @param {string} file
 * @returns {Map<string, Package>}
 */
function readPackages(file) {
  const { packages = {} } = JSON.parse(readFileSync(file, 'utf8'))
  const found = new Map(Object.entries(packages))
  // The checkout itself, which npm's note leaves out.
  found.delete('')
  return found
}

/**
 * @param {Map<string, Package>} wanted
 * @param {Map<string, Package>} installed
 */
function holdsTheSame(wanted, installed) {
  for (const [path, { version, integrity, optional }] of wanted) {
    const found = installed.get(path)
    // One that is optional may be made for another machine.
    if (!found && optional) continue
    if (found?.version !== version || found?.integrity !== integrity) return false
  }
  return [...installed.keys()].every((path) => wanted.has(path))
}
