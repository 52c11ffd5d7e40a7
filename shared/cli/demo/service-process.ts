import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { compiled } from '../checkout.ts'
import { clearAfterDeath } from '../engines/leftovers.ts'
import type { Asked, Question, Report, ServiceEnv, ServiceName } from './messages.ts'

const READY_WITHIN_MS = 20_000
const STOP_WITHIN_MS = 5_000
const LINES_KEPT = 30

/** One of the consuming services, as a child process. */
export interface ServiceProcess {
  readonly name: ServiceName
  /** Where it takes requests; 0 if it takes none. */
  readonly port: number
  /** Rejects when the service ends without an answer. */
  ask(question: Question): Promise<string | number>
  /** Resolves, when it has ended for whatever reason, with an error that says what it wrote. */
  readonly ended: Promise<Error>
  /** Lets go of it, and resolves when it is gone; twice is fine. */
  stop(): Promise<void>
  /** `SIGKILL` resolves when it is gone, the others at once. */
  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>
}

/**
 * Starts a service in a process group of its own, so that a Ctrl-C does not reach it before the demo
 * has decided what to stop first, and waits until it is ready. Throws with what it has written if it is not.
 */
export async function spawnService(
  name: ServiceName,
  env: ServiceEnv,
  onReport: (report: Report) => void,
): Promise<ServiceProcess> {
  const child = fork(join(compiled, 'shared', 'cli', 'demo', 'services', `${name}.js`), {
    env: { PATH: process.env.PATH, NODE_V8_COVERAGE: process.env.NODE_V8_COVERAGE, ...env },
    execArgv: ['--enable-source-maps'],
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const forget =
    child.pid === undefined ? () => {} : clearAfterDeath({ kind: 'group', pid: child.pid })
  const output = keepLines(child)
  const pending = new Map<number, { resolve: (value: string | number) => void; reject: Reject }>()
  let lastId = 0
  const gone = new Promise<Error>((resolve) => {
    child.once('error', resolve)
    // Not `close`: of a child that was let go of by us it never comes.
    child.once('exit', () => resolve(new Error(`The service ${name} has ended.`)))
  })
  const ended = gone.then(async (error) => {
    forget()
    for (const { reject } of pending.values()) reject(error)
    pending.clear()
    await output.ended
    error.message += ` It wrote:\n${output.lines.join('\n')}`
    return error
  })

  const ready = new Promise<number>((resolve) => {
    child.on('message', (message) => {
      const report = message as Report
      if (report.type === 'ready') resolve(report.port)
      if (report.type === 'answer') {
        pending.get(report.id)?.resolve(report.value)
        pending.delete(report.id)
      }
      onReport(report)
    })
  })

  async function stop(): Promise<void> {
    if (child.connected) child.disconnect()
    const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
    await ended
    clearTimeout(impatience)
  }

  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), READY_WITHIN_MS)
  })
  const port = await Promise.race([ready, ended, late])
  clearTimeout(timer)
  if (typeof port !== 'number') {
    await stop()
    throw new Error(`The service ${name} did not get ready. ${(await ended).message}`)
  }
  return {
    name,
    port,
    ended,
    stop,
    async kill(signal) {
      child.kill(signal)
      if (signal === 'SIGKILL') await ended
    },
    ask(question) {
      lastId += 1
      const asked: Asked = { ...question, id: lastId }
      return new Promise((resolve, reject) => {
        pending.set(asked.id, { resolve, reject })
        child.send(asked, (error) => {
          if (error) reject(error)
        })
      })
    },
  }
}

type Reject = (error: Error) => void

/** The last lines of both streams, complete when these have ended. */
function keepLines(child: ChildProcess): { lines: string[]; ended: Promise<unknown> } {
  const lines: string[] = []
  const ends = [child.stdout, child.stderr].flatMap((stream) => {
    if (!stream) return []
    const reader = createInterface({ input: stream })
    reader.on('line', (line) => {
      if (lines.push(line) > LINES_KEPT) lines.shift()
    })
    return [once(reader, 'close')]
  })
  return { lines, ended: Promise.all(ends) }
}
