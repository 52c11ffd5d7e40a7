import { CommandError, exitCodes, exitWith } from '../exit.ts'
import { onInterrupt } from '../interrupt.ts'
import { answer, note } from '../terminal/print.ts'
import { openProgress } from '../terminal/progress.ts'
import { showDuration } from '../terminal/time.ts'
import { parseCount } from '../arguments/count.ts'
import type { BulkFlags } from './bulk-options.ts'
import type { RecordFile } from './read-records.ts'
import { RejectsFile } from './rejects-file.ts'
import { runBulk, type BulkResult, type Outcome } from './run-bulk.ts'

export interface Bulk<T> {
  readonly file: RecordFile
  readonly pieces: AsyncGenerator<T>
  readonly work: (piece: T, signal: AbortSignal) => Promise<Outcome>
  readonly flags: BulkFlags
  /** What is done to a line, as in "revoked 5". */
  readonly verb: string
  /** How to go on after the run was broken off. */
  readonly again: string
  /** What is told besides, in JSON and for people. */
  readonly more?: () => Readonly<Record<string, unknown>>
}

/** Works through a file with progress, rejects and a summary; sets the exit code. Ctrl-C finishes what is under way. */
export async function finishBulk<T>(bulk: Bulk<T>): Promise<void> {
  const { file, flags } = bulk
  const started = performance.now()
  const stopped = new AbortController()
  onInterrupt(() => stopped.abort())
  const concurrency = parseCount('--concurrency', flags.concurrency ?? '1', 500)
  const rejects = new RejectsFile(flags.rejects)
  const progress = openProgress(bulk.verb, file.size)
  let seen = { done: 0, refused: 0 }
  let isBegun = false
  let result: BulkResult | undefined
  try {
    const work = (piece: T): Promise<Outcome> => {
      isBegun = true
      return bulk.work(piece, stopped.signal)
    }
    result = await runBulk(bulk.pieces, work, {
      concurrency,
      onError: flags.onError ?? 'continue',
      signal: stopped.signal,
      onProgress(done, refused) {
        seen = { done, refused }
        progress.update(file.read(), `${done} done, ${refused} refused`)
      },
      onReject: (reject) => rejects.add(reject),
    })
  } catch (error) {
    // What a signal cut short is no failure of its own.
    if (!stopped.signal.aborted || !(error instanceof CommandError)) {
      if (isBegun) note(`${bulk.verb} ${seen.done}, then it broke off. ${bulk.again}`)
      throw error
    }
  } finally {
    progress.stop()
    file.close()
    rejects.close(seen.refused)
  }
  const { done, refused, complete } = result ?? { ...seen, complete: false }
  const ms = Math.round(performance.now() - started)
  const summary = { done, refused, complete, ms, ...bulk.more?.() }
  answer(flags.json, summary, () => {
    const where = flags.rejects === undefined || refused === 0 ? '' : ` (see ${flags.rejects})`
    return `${bulk.verb} ${done}, refused ${refused}${where}, in ${showDuration(ms)}`
  })
  if (!complete) note(`It is not complete. ${bulk.again}`)
  if (stopped.signal.aborted) process.exitCode = exitCodes.interrupted
  else if (refused > 0) exitWith('failed')
}
