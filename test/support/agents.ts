import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ConnectOptions, Decision } from '../../shared/subscriber/index.ts'
import type { TestSystem } from './system.ts'

/** A subscriber in a process of its own, to be paused, killed or given a wrong clock. */
export interface Agent {
  readonly instance: string
  check(claims: Record<string, unknown>): Promise<Decision>
  close(): Promise<void>
  kill(signal: NodeJS.Signals): void
  /** Ends the process, whatever state it is in. */
  end(): Promise<void>
}

/** Starts a process that subscribes as `system.subscribe` would. */
export async function startAgent(
  system: TestSystem,
  options: Partial<ConnectOptions> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<Agent> {
  const file = fileURLToPath(new URL('agent.js', import.meta.url))
  const child = fork(file, { env: { ...process.env, ...env }, serialization: 'advanced' })
  const call = caller(child)
  const instance = await call('connect', {
    service: 'agent',
    amqp: String(system.env['AMQP_URL']),
    pull: system.urls(),
    apiKey: system.apiKey,
    namespace: system.namespace,
    ...options,
  })
  return {
    instance: instance as string,
    check: (claims) => call('check', claims) as Promise<Decision>,
    async close() {
      await call('close')
    },
    kill: (signal) => void child.kill(signal),
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    },
  }
}

function caller(child: ChildProcess): (name: string, ...args: unknown[]) => Promise<unknown> {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let last = 0
  child.on('message', ({ id, result, error }: { id: number; result: unknown; error?: string }) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) call?.resolve(result)
    else call?.reject(new Error(error))
  })
  child.on('exit', () => {
    for (const call of waiting.values()) call.reject(new Error('The agent has ended.'))
    waiting.clear()
  })
  return (name, ...args) =>
    new Promise((resolve, reject) => {
      last += 1
      waiting.set(last, { resolve, reject })
      child.send({ id: last, name, args })
    })
}
