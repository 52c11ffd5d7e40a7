import type { KnellProcess } from '../../shared/cli/processes.ts'
import type { Witness } from './witness.ts'

export interface Load {
  /** How many calls have ended, whatever became of them. */
  readonly calls: number
  /** Sends no more, and waits for what is under way. */
  stop(): Promise<void>
}

/** Revokes one subject after the other, in so many callers at once, until it is stopped. */
export function startLoad(witness: Witness, process: KnellProcess, callers = 8): Load {
  const over = new AbortController()
  let calls = 0
  let next = 0
  const run = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await witness.revoke(process, { sub: `load-${(next += 1)}` })
      calls += 1
    }
  }
  const done = Promise.all(Array.from({ length: callers }, run))
  return {
    get calls() {
      return calls
    },
    async stop() {
      over.abort()
      await done
    },
  }
}
