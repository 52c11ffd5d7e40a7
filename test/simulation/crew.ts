import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { startRedis } from '../../shared/cli/engines/private-redis.ts'
import type { Outcome } from './run.ts'
import type { Job } from './worker.ts'

// What is small is kept in the order in which it came, so that a run does not depend on the server's hash seed.
const small = ['--hash-max-listpack-entries', '10000', '--hash-max-listpack-value', '100000']
const settings = ['--unixsocket', 'redis.sock', '--appendonly', 'no', ...small]

/** Workers side by side, each with a Redis of its own. */
export class Crew {
  readonly #workers: ChildProcess[] = []
  readonly #stops: (() => Promise<void>)[] = []
  #isStopping = false

  /** @throws where an engine or a worker does not start */
  async open(count: number, job: Omit<Job, 'socket'>): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, async () => {
        const engine = await startRedis({ args: settings })
        this.#stops.push(() => engine.stop())
        const told: Job = { ...job, socket: join(engine.dir, 'redis.sock') }
        const worker = fork(join(import.meta.dirname, 'worker.js'), [JSON.stringify(told)], {
          execArgv: ['--enable-source-maps'],
          // In a group of its own: a Ctrl-C reaches it through us.
          detached: true,
        })
        this.#workers.push(worker)
        await answerOf(worker)
      }),
    )
  }

  /** Plays seeds in their order, until `next` has none or `done` says that it is enough; those under way are finished. */
  async play(
    next: () => number | undefined,
    done: (outcome: Outcome) => 'go on' | 'enough',
  ): Promise<void> {
    let isEnough = false
    await Promise.all(
      this.#workers.map(async (worker) => {
        while (!isEnough && !this.#isStopping) {
          const seed = next()
          if (seed === undefined) return
          worker.send(seed)
          const outcome = (await answerOf(worker)) as Outcome
          if (done(outcome) === 'enough') isEnough = true
        }
      }),
    )
  }

  /** Begins no further run. */
  interrupt(): void {
    this.#isStopping = true
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) if (worker.connected) worker.disconnect()
    await Promise.all(this.#stops.map((stop) => stop()))
  }
}

async function answerOf(worker: ChildProcess): Promise<unknown> {
  const over = new AbortController()
  try {
    const ended = once(worker, 'exit', { signal: over.signal }).then(([code, signal]) => {
      throw new Error(`A worker of the simulation ended with ${String(code ?? signal)}.`)
    })
    const [answer] = (await Promise.race([
      once(worker, 'message', { signal: over.signal }),
      ended,
    ])) as [unknown]
    ended.catch(() => {})
    return answer
  } finally {
    over.abort()
  }
}
