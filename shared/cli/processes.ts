import { spawn, type ChildProcess } from 'node:child_process'
import http from 'node:http'
import https from 'node:https'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { compiled } from './checkout.ts'
import { freePort } from './engines/free-port.ts'
import { clearAfterDeath } from './engines/leftovers.ts'

const READY_WITHIN_MS = 30_000
/** A little longer than a process gives itself, so that it is the one to say what took it so long. */
const STOP_WITHIN_MS = 12_000
const PROBE_EVERY_MS = 25
const LINES_KEPT = 2_000

export type KnellKind = 'notifier' | 'poller'

export interface SpawnOptions {
  /** Which health call must answer 200 before the process counts as started. Default `/readyz`. */
  readonly until?: '/readyz' | '/livez'
  /** Default 30 s. */
  readonly readyWithinMs?: number
  /** How to speak to a process that serves HTTPS (`TLS_CERT`). */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string }
  /** Called with each line the process writes. */
  readonly onLine?: (line: string) => void
}

/** How a process has ended: with a code, or by a signal. */
interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A notifier or a poller that runs as a child process. */
export interface KnellProcess {
  readonly kind: KnellKind
  readonly url: string
  readonly port: number
  readonly pid: number
  /** The last lines it has written, on either stream. */
  readonly output: readonly string[]
  /** Resolves when it has ended, for whatever reason. */
  readonly exited: Promise<Exit>
  /** SIGTERM, then, after 12 s, SIGKILL. Resolves when it is gone; twice is fine. */
  stop(): Promise<Exit>
  /** Sends the signal (default SIGKILL). SIGKILL resolves when it is gone, others at once. */
  kill(signal?: NodeJS.Signals): Promise<void>
}

/** What a process needs of ours; nothing else is passed on, so that a stray setting changes no test. */
const inherited = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'NODE_OPTIONS', 'NODE_V8_COVERAGE']

/**
 * Starts `main.ts` of the notifier or the poller with `env`, on `env.PORT` or a free port, and waits
 * until it is ready. It runs in a process group of its own, so that a Ctrl-C does not reach it before
 * its parent has decided what to stop first; if the parent is killed, so is it.
 * Throws with what it has written if it ends or is not ready in time.
 */
export async function spawnKnell(
  kind: KnellKind,
  env: Readonly<Record<string, string | undefined>>,
  options: SpawnOptions = {},
): Promise<KnellProcess> {
  const port = Number(env.PORT ?? (await freePort()))
  const child = spawn(process.execPath, ['--enable-source-maps', join(compiled, kind, 'main.js')], {
    cwd: compiled,
    env: { ...pick(process.env, inherited), HOST: '127.0.0.1', ...env, PORT: `${port}` },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const scheme = env['TLS_CERT'] ? 'https' : 'http'
  const running = watch(child, kind, `${scheme}://127.0.0.1:${port}`, options.onLine)
  const until = options.until ?? '/readyz'
  const deadline = performance.now() + (options.readyWithinMs ?? READY_WITHIN_MS)
  while (child.exitCode === null && child.signalCode === null && performance.now() < deadline) {
    if (await answers200(`${running.url}${until}`, options.tls)) return running
    await delay(PROBE_EVERY_MS)
  }
  const { code, signal } = await running.kill().then(() => running.exited)
  const what =
    signal === 'SIGKILL'
      ? `is not ready: ${until} does not answer 200`
      : `ended (${code ?? signal})`
  throw new Error(`The ${kind} ${what}. It wrote:\n${running.output.slice(-30).join('\n')}`)
}

function watch(
  child: ChildProcess,
  kind: KnellKind,
  url: string,
  onLine: SpawnOptions['onLine'],
): KnellProcess {
  const { pid = -1 } = child
  const forget = pid === -1 ? () => {} : clearAfterDeath({ kind: 'group', pid })
  const output: string[] = []
  const keep = (line: string): void => {
    if (output.push(line) > LINES_KEPT) output.shift()
    onLine?.(line)
  }
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', keep)
  }
  const exited = new Promise<Exit>((resolve) => {
    child.once('error', (error) => keep(error.message))
    // Not `exit`: the last lines are still to be read then.
    child.once('close', (code, signal) => {
      forget()
      resolve({ code, signal })
    })
  })
  const send = (signal: NodeJS.Signals): void => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
  }
  return {
    kind,
    url,
    port: Number(new URL(url).port),
    pid,
    output,
    exited,
    async stop() {
      send('SIGTERM')
      const impatience = setTimeout(() => send('SIGKILL'), STOP_WITHIN_MS)
      const exit = await exited
      clearTimeout(impatience)
      return exit
    },
    async kill(signal = 'SIGKILL') {
      send(signal)
      if (signal === 'SIGKILL') await exited
    },
  }
}

function answers200(url: string, tls: SpawnOptions['tls']): Promise<boolean> {
  const { get } = url.startsWith('https:') ? https : http
  return new Promise((resolve) => {
    const asked = get(url, { ...tls, agent: false, timeout: 2_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => resolve(false))
  })
}

function pick(from: NodeJS.ProcessEnv, names: readonly string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(names.map((name) => [name, from[name]]))
}
