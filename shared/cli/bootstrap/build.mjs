import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** The folders that `tsconfig.json` includes, and what else decides what the compiler makes of them. */
const sourceFolders = ['notifier', 'poller', 'shared', 'test']
const settings = ['tsconfig.json', 'package.json']

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
  const compiler = join(checkout, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [compiler, '-p', 'tsconfig.json', '--outDir', next],
    { cwd: checkout, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  )
  if (status !== 0) {
    rmSync(next, { recursive: true, force: true })
    throw new Error(`The sources do not compile:\n${stdout}${stderr}`.trim())
  }
  rmSync(stampOf(checkout), { force: true })
  const files = filesIn(next)
  for (const file of files) place(join(next, file), join(dist, file))
  const wanted = new Set(files)
  for (const file of filesIn(dist)) {
    const isOurs = sourceFolders.some((folder) => file.startsWith(folder))
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
  // One folder deeper than it will lie, the compiler counted one step too many up to the source.
  if (from.endsWith('.map')) {
    const text = readFileSync(from, 'utf8')
    writeFileSync(from, text.replace('"sources":["../', '"sources":["'))
  }
  if (isSame(from, to)) return
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
  const lines = [...settings, ...sources.filter((file) => file.endsWith('.ts'))].map((file) => {
    const { size, mtimeMs } = statSync(join(checkout, file))
    return `${file} ${size} ${mtimeMs}`
  })
  hash.update(lines.toSorted().join('\n'))
  return hash.digest('hex')
}

/**
 * The files below a folder, by their path in it; none if it is not there.
 * @param {string} folder
 * @returns {string[]}
 */
function filesIn(folder) {
  if (!statSync(folder, { throwIfNoEntry: false })) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
}
