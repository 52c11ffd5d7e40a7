import { setTimeout as delay } from 'node:timers/promises'
import { ApiProblem } from '../client/api-client.ts'
import { CommandError } from '../exit.ts'
import type { FileRecord } from './read-records.ts'

/** A line that was refused, and why. */
export interface Reject {
  readonly line: number
  readonly code: string
  readonly detail: string
  /** What the line said, where it could be read. A token is a secret and is left out. */
  readonly item?: unknown
}

/** What one piece of work has come to. */
export interface Outcome {
  readonly done: number
  readonly rejects: readonly Reject[]
}

export interface BulkOptions {
  readonly concurrency: number
  /** What to do after a line was refused: go on with the rest, or take no more. */
  readonly onError: 'continue' | 'stop'
  /** Takes no more once it is aborted; what is under way is finished. */
  readonly signal: AbortSignal
  readonly onProgress: (done: number, refused: number) => void
  readonly onReject: (reject: Reject) => void
}

export interface BulkResult {
  readonly done: number
  readonly refused: number
  /** Whether everything was looked at. */
  readonly complete: boolean
}

/** Works through pieces, so many at once. A failure that is no line's own ends it once what is under way is done. */
export async function runBulk<T>(
  pieces: AsyncGenerator<T>,
  work: (piece: T) => Promise<Outcome>,
  options: BulkOptions,
): Promise<BulkResult> {
  let done = 0
  let refused = 0
  let isOver = false
  let complete = false
  // A pipe that stays open has no next line, and nobody should have to wait for one.
  const aborted = new Promise<'aborted'>((resolve) => {
    options.signal.addEventListener('abort', () => resolve('aborted'), { once: true })
  })
  const worker = async (): Promise<void> => {
    while (!isOver && !options.signal.aborted) {
      const next = await Promise.race([aborted, pieces.next()])
      if (next === 'aborted') return
      if (next.done === true) {
        complete = true
        return
      }
      const outcome = await work(next.value)
      done += outcome.done
      refused += outcome.rejects.length
      for (const reject of outcome.rejects) options.onReject(reject)
      options.onProgress(done, refused)
      if (refused > 0 && options.onError === 'stop') isOver = true
    }
  }
  const workers = Array.from({ length: options.concurrency }, async () => {
    try {
      await worker()
    } catch (error) {
      isOver = true
      throw error
    }
  })
  const results = await Promise.allSettled(workers)
  const failure = results.find((result) => result.status === 'rejected')
  if (failure !== undefined) throw failure.reason
  return { done, refused, complete: complete && !isOver }
}

/** A line that could not be read. */
export function rejectOf(record: FileRecord): Reject | undefined {
  return 'problem' in record
    ? { line: record.line, code: 'unreadable', detail: record.problem }
    : undefined
}

const TRIES = 8
const LONGEST_MS = 5000

/** Tries again what may succeed later without a change: for about half a minute, or as the API says. */
export async function persist<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt()
    } catch (error) {
      const isPassing =
        error instanceof ApiProblem
          ? error.retryable
          : error instanceof CommandError && error.exit === 'unreachable'
      if (!isPassing || tried >= TRIES || signal.aborted) throw error
      const asked = error instanceof ApiProblem ? error.retryAfterMs : undefined
      await delay(asked ?? Math.min(LONGEST_MS, 100 * 2 ** tried), undefined, { signal }).catch(
        () => {},
      )
    }
  }
}
