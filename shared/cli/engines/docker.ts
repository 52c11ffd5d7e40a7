import { join } from 'node:path'
import { checkout } from '../checkout.ts'
import type { EngineName, OpenPart } from './engines.ts'
import { SetupError } from './setup-error.ts'
import { freePort } from './free-port.ts'
import { clearAfterDeath } from './leftovers.ts'
import { runCommand } from './run-command.ts'

const ANSWER_WITHIN_MS = 5_000
/** The images may have to be fetched first. */
const UP_WITHIN_MS = 600_000
const DOWN_WITHIN_MS = 60_000

/** Whether there is a Docker daemon to talk to, and `docker compose` to do it with. */
export async function dockerAnswers(): Promise<boolean> {
  for (const args of [['info'], ['compose', 'version']]) {
    const { code } = await runCommand('docker', args, { timeoutMs: ANSWER_WITHIN_MS })
    if (code !== 0) return false
  }
  return true
}

/** Starts the engines of `docker-compose.yml` as a project of their own, on free loopback ports. */
export async function openDocker(
  namespace: string,
  names: readonly EngineName[],
): Promise<OpenPart> {
  const ports = { rabbitmq: await freePort(), redis: await freePort() }
  const env = {
    ...process.env,
    RABBITMQ_PORT: `${ports.rabbitmq}`,
    REDIS_PORT: `${ports.redis}`,
    // Nobody asks for it here, but the file publishes it, and two copies may run.
    RABBITMQ_MANAGEMENT_PORT: `${await freePort()}`,
  }
  const compose = ['compose', '-p', namespace, '-f', join(checkout, 'docker-compose.yml')]
  const down = [...compose, 'down', '--volumes', '--timeout', '1']
  const forget = clearAfterDeath({ kind: 'command', file: 'docker', args: down, env: defined(env) })
  const stop = async (): Promise<void> => {
    await runCommand('docker', down, { env, timeoutMs: DOWN_WITHIN_MS })
    forget()
  }
  const up = [...compose, 'up', '--detach', '--wait', ...names]
  const { code, output } = await runCommand('docker', up, { env, timeoutMs: UP_WITHIN_MS })
  if (code !== 0) {
    await stop()
    throw new SetupError(`"docker ${up.join(' ')}" failed:\n${output.trim()}`)
  }
  const urls = {
    rabbitmq: `amqp://guest:guest@127.0.0.1:${ports.rabbitmq}`,
    redis: `redis://127.0.0.1:${ports.redis}`,
  }
  return { urls: Object.fromEntries(names.map((name) => [name, urls[name]])), stop }
}

function defined(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}
