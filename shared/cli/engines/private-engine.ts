import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { commandLine } from './engine-tree.ts'
import { clearAfterDeath } from './leftovers.ts'

const READY_WITHIN_MS = 90_000
const TERM_WITHIN_MS = 20_000
const PROBE_EVERY_MS = 50

type EngineSignal = 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'

/** A broker or store that runs as a process of ours alone, on loopback, and may be killed. */
export interface PrivateEngine {
  readonly name: 'rabbitmq' | 'redis'
  readonly url: string
  readonly port: number
  /** Its data folder. */
  readonly dir: string
  /** Undefined while it does not run. */
  readonly pid: number | undefined
  /** Sends the signal to the whole engine. SIGKILL and SIGTERM resolve when the process is gone. */
  signal(name: EngineSignal): Promise<void>
  /** Starts it again on the same port with the same data; resolves when it answers. */
  start(): Promise<void>
  /** Ends it for good. A data folder that it made itself is removed. */
  stop(): Promise<void>
}

/** How to run one engine. */
export interface EngineRecipe {
  readonly name: PrivateEngine['name']
  readonly url: string
  readonly port: number
  readonly dir: EngineFolder
  readonly command: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** The network namespace it is to run in, if not that of this process. */
  readonly netns?: string
  /** Whether the engine answers, and is the process with this pid and not another on its port. */
  answers(pid: number): Promise<boolean>
  /** Runs when the engine has been stopped for good. */
  afterStop?(): Promise<void>
}

interface EngineFolder {
  readonly path: string
  /** Removes the folder if it is a temporary one of ours. */
  release(): Promise<void>
}

/** The folder given, made if need be; without one a temporary one, removed at the end, even after a crash. */
export async function openFolder(name: string, given: string | undefined): Promise<EngineFolder> {
  if (given !== undefined) {
    mkdirSync(given, { recursive: true })
    return { path: given, release: async () => {} }
  }
  const path = await mkdtemp(join(tmpdir(), `knell-${name}-`))
  const forget = clearAfterDeath({ kind: 'folder', path })
  return {
    path,
    async release() {
      await rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
      forget()
    },
  }
}

/** Starts an engine on ports of its choice; one that finds them taken is tried again with others. */
export async function startOnFreePorts(
  attempt: () => Promise<EngineRecipe>,
  tries: number,
): Promise<PrivateEngine> {
  for (let left = tries; ; left -= 1) {
    const engine = createEngine(await attempt())
    try {
      await engine.start()
      return engine
    } catch (error) {
      await engine.stop()
      if (left <= 1) throw error
    }
  }
}

interface Run {
  readonly child: ChildProcess
  readonly gone: Promise<void>
  hasEnded: boolean
}

function createEngine(recipe: EngineRecipe): PrivateEngine {
  const logFile = join(recipe.dir.path, 'output.log')
  let running: Run | undefined
  let isStopped = false

  function launch(): Run {
    const output = openSync(logFile, 'a')
    const line = commandLine(recipe.name, recipe.command, recipe.args, recipe.netns)
    const child = spawn(line.file, line.args, {
      cwd: recipe.dir.path,
      env: recipe.env,
      // In a group of its own: a Ctrl-C must not take the engine away under a program that is stopping.
      detached: true,
      stdio: ['ignore', output, output],
    })
    closeSync(output)
    const { pid } = child
    const forget = pid === undefined ? () => {} : clearAfterDeath({ kind: 'group', pid })
    const run: Run = { child, gone: ended(child), hasEnded: false }
    const leave = (): void => {
      forget()
      run.hasEnded = true
      if (running === run) running = undefined
    }
    child.once('exit', leave)
    child.once('error', leave)
    // The reaper ends it where this process ends without having done so.
    child.unref()
    return run
  }

  async function start(): Promise<void> {
    if (isStopped) throw new Error(`The private ${recipe.name} has been stopped for good.`)
    if (running) return
    const run = launch()
    running = run
    const deadline = performance.now() + READY_WITHIN_MS
    while (!run.hasEnded && performance.now() < deadline) {
      if ((await recipe.answers(run.child.pid ?? -1)) && !run.hasEnded) return
      await delay(PROBE_EVERY_MS)
    }
    const what = run.hasEnded
      ? 'ended at its start'
      : `did not answer in ${READY_WITHIN_MS / 1000} s`
    await signal('SIGKILL')
    throw new Error(`The private ${recipe.name} ${what}. Its last words:\n${lastWords(logFile)}`)
  }

  async function signal(name: EngineSignal): Promise<void> {
    if (!running) return
    const { child, gone } = running
    sendToGroup(child, name)
    if (name === 'SIGSTOP' || name === 'SIGCONT') return
    // A stopped process would see the signal only when it goes on.
    if (name === 'SIGTERM') sendToGroup(child, 'SIGCONT')
    child.ref()
    const impatience = setTimeout(() => sendToGroup(child, 'SIGKILL'), TERM_WITHIN_MS)
    await gone
    clearTimeout(impatience)
  }

  async function stop(): Promise<void> {
    isStopped = true
    await signal('SIGKILL')
    await recipe.afterStop?.()
    await recipe.dir.release()
  }

  return {
    name: recipe.name,
    url: recipe.url,
    port: recipe.port,
    dir: recipe.dir.path,
    get pid() {
      return running?.child.pid
    },
    signal,
    start,
    stop,
  }
}

/** Resolves when the process is gone, or could not be started. */
async function ended(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
}

function sendToGroup(child: ChildProcess, signal: EngineSignal): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It has ended in this very moment.
  }
}

function lastWords(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim().split('\n').slice(-15).join('\n')
  } catch {
    return '(none)'
  }
}
