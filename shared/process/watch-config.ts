import { unwatchFile, watchFile } from 'node:fs'
import type { Logger } from 'pino'
import { isKnellError } from '../domain/errors.ts'

const LOOK_MS = 1000

export interface Watched<T> {
  /** What is in force now. */
  current(): T
  stop(): void
}

/**
 * Reads a file of configuration again when it changes. A file that has become unusable changes
 * nothing, and is logged. `what` is in it, for the log.
 */
export function watchConfig<T>(
  path: string | undefined,
  first: T,
  read: () => T,
  what: string,
  log: Logger,
): Watched<T> {
  let current = first
  const look = (): void => {
    try {
      current = read()
      log.info(`the ${what} were read again`)
    } catch (error) {
      log.error(
        { problem: isKnellError(error) ? error.message : String(error) },
        `the changed ${what} are unusable; the old ones stay`,
      )
    }
  }
  if (path !== undefined) watchFile(path, { interval: LOOK_MS, persistent: false }, look)
  return {
    current: () => current,
    stop() {
      if (path !== undefined) unwatchFile(path, look)
    },
  }
}
