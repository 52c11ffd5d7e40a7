import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request, type IncomingHttpHeaders } from 'node:http'
import { createInterface } from 'node:readline'
import { endAfterDeath } from './end-after-death.ts'
import { eventually } from './eventually.ts'
import type { TestSystem } from './system.ts'
import { textOf } from './http-call.ts'
import { knellFile } from './run-knell.ts'

type Env = Readonly<Record<string, string>>

/** `knell agent` as a process of its own. */
export interface SpawnedAgent {
  /** `http://host:port`, or `unix:/path`. */
  readonly url: string
  readonly output: readonly string[]
  kill(signal: NodeJS.Signals): void
  /** Its exit code, once it has ended. */
  readonly ended: Promise<number | null>
}

/** Runs the command with nothing but these settings. */
export function runAgent(args: readonly string[], env: Env): Omit<SpawnedAgent, 'url'> {
  const child = spawn(process.execPath, [knellFile, 'agent', ...args], {
    env: { PATH: process.env['PATH'], ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const forget = endAfterDeath(child)
  const output: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => output.push(line))
  }
  const ended = once(child, 'close').then(([code]) => {
    forget()
    return code as number | null
  })
  return { output, ended, kill: (signal) => void child.kill(signal) }
}

/** The settings with which an agent follows a system. */
export function agentEnv(system: TestSystem, more: Env = {}): Env {
  return {
    AMQP_URL: String(system.env['AMQP_URL']),
    KNELL_URL: system.urls().join(','),
    KNELL_API_KEY: system.apiKey,
    NAMESPACE: system.namespace,
    SERVICE: 'orders',
    LISTEN: '127.0.0.1:0',
    LOG_LEVEL: 'debug',
    ...more,
  }
}

/** Starts an agent, and waits until it listens. */
export async function spawnAgent(env: Env, args: readonly string[] = []): Promise<SpawnedAgent> {
  const agent = runAgent(args, env)
  let ending: string | undefined
  void agent.ended.then((code) => (ending = `it ended with ${code}: ${agent.output.join('\n')}`))
  const url = await eventually(
    () => {
      if (ending !== undefined) return ending
      const line = agent.output.find((one) => one.includes('"msg":"listening"'))
      return line && (JSON.parse(line) as { url: string }).url
    },
    { what: 'an agent that listens', timeoutMs: 20_000 },
  )
  if (ending !== undefined || url === undefined) throw new Error(ending)
  return { ...agent, url }
}

export interface AgentAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly body: Record<string, unknown>
}

/** Calls an agent, over TCP or its socket. A body makes it a POST of JSON. */
export async function ask(
  { url }: { readonly url: string },
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: unknown } = {},
): Promise<AgentAnswer> {
  const { body, method = body === undefined ? 'GET' : 'POST', headers = {} } = options
  const where = url.startsWith('unix:')
    ? { socketPath: url.slice('unix:'.length) }
    : { host: new URL(url).hostname, port: new URL(url).port }
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  const sent = request({ ...where, path, method, agent: false, headers: { ...type, ...headers } })
  sent.end(typeof body === 'string' || body === undefined ? body : JSON.stringify(body))
  const [response] = await once(sent, 'response')
  const text = await textOf(response)
  const parsed = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {}
  return { status: response.statusCode, headers: response.headers, text, body: parsed }
}

export function bearerOf(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}
