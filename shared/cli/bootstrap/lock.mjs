import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const LOOK_EVERY_MS = 100

/**
 * Runs `work` while no other copy of this program does so in this checkout. The lock is a folder that
 * holds the pid of its owner; that of a dead owner is taken over. It does not lie in the checkout,
 * where `npm ci` would delete it.
 * @param {string} checkout
 * @param {(line: string) => void} log
 * @param {() => void} work
 */
export async function withLock(checkout, log, work) {
  const lock = lockOf(checkout)
  for (let tries = 0; !take(lock); tries += 1) {
    if (tries === 0) log('Waiting for another copy that is installing or compiling here ...')
    await delay(LOOK_EVERY_MS)
  }
  try {
    work()
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
}

/**
 * Where the lock of a checkout lies. A test puts a stale one there.
 * @public
 * @param {string} checkout
 */
export function lockOf(checkout) {
  const key = createHash('sha256').update(realpathSync(checkout)).digest('hex').slice(0, 16)
  return join(tmpdir(), `knell-${userInfo().uid}-${key}.lock`)
}

/** @param {string} lock */
function take(lock) {
  const owner = ownerOf(lock)
  if (owner !== undefined && isAlive(owner)) return false
  if (owner !== undefined) removeStale(lock, owner)
  // A folder can be renamed onto an empty or missing one only, so of two copies one succeeds.
  const mine = mkdtempSync(`${lock}-`)
  writeFileSync(join(mine, 'pid'), `${process.pid}`)
  try {
    renameSync(mine, lock)
    return true
  } catch {
    rmSync(mine, { recursive: true, force: true })
    return false
  }
}

/**
 * Takes the lock of a dead owner away, unless it has become another's since it was looked at.
 * @param {string} lock
 * @param {number} owner
 */
function removeStale(lock, owner) {
  const aside = mkdtempSync(`${lock}-stale-`)
  try {
    renameSync(lock, aside)
    if (ownerOf(aside) !== owner) renameSync(aside, lock)
  } catch {
    // Another copy has been quicker.
  }
  rmSync(aside, { recursive: true, force: true })
}

/** @param {string} lock */
function ownerOf(lock) {
  try {
    return Number(readFileSync(join(lock, 'pid'), 'utf8'))
  } catch {
    return undefined
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM'
  }
}
