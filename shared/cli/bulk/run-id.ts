import { randomBytes } from 'node:crypto'
import { UsageError } from '../usage-error.ts'

/** One run over a file, which may be repeated under the same id with one effect per line. */
export interface Run {
  readonly id: string
  /** When it was first begun: what `+2h` in the file counts from, so that a repeat means the same. */
  readonly startedMs: number
}

/** A new run, or the one that was broken off. @throws UsageError */
export function runOf(given: string | undefined, nowMs: number): Run {
  if (given === undefined) {
    return { id: `${nowMs.toString(36)}-${randomBytes(6).toString('hex')}`, startedMs: nowMs }
  }
  const [, started] = /^([0-9a-z]{8,9})-[0-9a-f]{12}$/.exec(given) ?? []
  if (started === undefined)
    throw new UsageError('--run takes the id that a broken-off run printed.')
  return { id: given, startedMs: parseInt(started, 36) }
}
