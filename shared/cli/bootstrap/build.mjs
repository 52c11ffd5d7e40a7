import { createHash } from 'node:crypto'
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { bundles } from './bundle.mjs'
import { browser, compile, filesIn } from './compile.mjs'

/** The folders that `tsconfig.json` includes, and what else decides what the compiler makes of them. */
const sourceFolders = ['notifier', 'poller', 'shared', 'test']
const settings = ['tsconfig.json', 'package.json']
/** What becomes a part of `dist`, or decides how, besides the sources of the processes. */
const isOfBrowser = (/** @type {string} */ file) => file.startsWith(join(browser, ''))

/**
 * Whether `dist` was compiled from the sources as they are now. The stamp holds a digest of the path,
 * size and time of every source, so that a deleted one is seen as well as a changed one.
 * @param {string} checkout
 */
export function isBuilt(checkout) {
  try {
    return readFileSync(stampOf(checkout), 'utf8') === digest(checkout)
  } catch {
    return false
  }
}

/**
 * Compiles into a folder of its own, then moves each file that differs to its place in one step: a
 * copy that runs from `dist` never meets a file that is half there or missing. Files whose source is
 * gone are removed. Nothing is moved when the compiler finds an error; then it throws with its words.
 * @param {string} checkout
 * @param {(line: string) => void} log
 */
export function build(checkout, log) {
  log('Compiling ...')
  const dist = join(checkout, 'dist')
  const next = join(dist, '.next')
  rmSync(next, { recursive: true, force: true })
  const made = digest(checkout)
  try {
    compile(checkout, next)
  } catch (error) {
    rmSync(next, { recursive: true, force: true })
    throw error
  }
  rmSync(stampOf(checkout), { force: true })
  const files = filesIn(next)
  for (const file of files) place(join(next, file), join(dist, file))
  const wanted = new Set(files)
  for (const file of filesIn(dist)) {
    const isOurs = [...sourceFolders, bundles].some((folder) => file.startsWith(join(folder, '/')))
    if (isOurs && !wanted.has(file)) rmSync(join(dist, file))
  }
  rmSync(next, { recursive: true, force: true })
  writeFileSync(stampOf(checkout), made)
}

/**
 * @param {string} from
 * @param {string} to
 */
function place(from, to) {
  // One folder deeper than it will lie, the compiler counted one step too many up to the source;
  // who bundles was told where it will lie.
  if (from.endsWith('.map') && basename(dirname(from)) !== bundles) {
    const text = readFileSync(from, 'utf8')
    writeFileSync(from, text.replace('"sources":["../', '"sources":["'))
  }
  if (isSame(from, to)) {
    chmodSync(to, statSync(from).mode)
    return
  }
  mkdirSync(dirname(to), { recursive: true })
  renameSync(from, to)
}

/**
 * @param {string} one
 * @param {string} other
 */
function isSame(one, other) {
  try {
    return readFileSync(one).equals(readFileSync(other))
  } catch {
    return false
  }
}

/** @param {string} checkout */
function stampOf(checkout) {
  return join(checkout, 'dist', '.built')
}

/** @param {string} checkout */
function digest(checkout) {
  const hash = createHash('sha256')
  const sources = sourceFolders.flatMap((folder) =>
    filesIn(join(checkout, folder)).map((file) => join(folder, file)),
  )
  const lines = [
    ...settings,
    ...sources.filter((file) => file.endsWith('.ts') || isOfBrowser(file)),
  ].map((file) => {
    const { size, mtimeMs } = statSync(join(checkout, file))
    return `${file} ${size} ${mtimeMs}`
  })
  hash.update(lines.toSorted().join('\n'))
  return hash.digest('hex')
}
