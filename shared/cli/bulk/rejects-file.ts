import { closeSync, openSync, writeSync } from 'node:fs'
import { harmless, note } from '../terminal/print.ts'
import { UsageError } from '../usage-error.ts'
import type { Reject } from './run-bulk.ts'

const SHOWN = 10

/** Where refused lines go: the first few to standard error, all of them to a file where one is named. */
export class RejectsFile {
  readonly #path: string | undefined
  #file: number | undefined
  #shown = 0

  /** @throws UsageError where the file cannot be made */
  constructor(path: string | undefined) {
    this.#path = path
    if (path === undefined) return
    try {
      // It says who was to be signed out and why, which is nobody else's business.
      this.#file = openSync(path, 'w', 0o600)
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException
      throw new UsageError(`"${path}" cannot be written (${code}).`, { cause: error })
    }
  }

  add(reject: Reject): void {
    if (this.#file !== undefined) writeSync(this.#file, `${JSON.stringify(reject)}\n`)
    if (this.#shown >= SHOWN) return
    this.#shown += 1
    note(harmless(`line ${reject.line}: ${reject.code}: ${reject.detail}`))
  }

  /** Closes the file; twice is fine. `refused`: how many there were in all. */
  close(refused: number): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
    if (this.#path !== undefined) return
    if (refused > this.#shown)
      note(`... and ${refused - this.#shown} more; --rejects keeps them all.`)
  }
}

/** What a line said, without a token in it. */
export function withoutToken(item: unknown): unknown {
  if (typeof item !== 'object' || item === null || !('token' in item)) return item
  const { token: _, ...rest } = item as Record<string, unknown>
  return rest
}
