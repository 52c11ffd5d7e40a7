import { freePort } from '../engines/free-port.ts'
import { openEngines, type Engines } from '../engines/engines.ts'
import type { PrivateEngine } from '../engines/private-engine.ts'
import type { PrivateRabbit } from '../engines/private-rabbit.ts'
import { SetupError } from '../engines/setup-error.ts'

/** Engines that may be killed, and the page on which RabbitMQ counts its connections, channels and queues. */
export interface SoakEngines extends Engines {
  readonly rabbit: PrivateRabbit
  readonly redis: PrivateEngine
  readonly metricsUrl: string
}

/**
 * Private engines only: what they are told to survive would harm anybody else. Redis writes its log
 * to disk before it answers (`appendfsync always`), so that what it has acknowledged is there after
 * a kill: whatever is lost then, Knell has lost. (`everysec` puts a write off for up to two seconds
 * while the disk is slow.)
 */
export async function openSoakEngines(
  env: Readonly<Record<string, string | undefined>>,
  log: (line: string) => void,
): Promise<SoakEngines> {
  const port = await freePort()
  const engines = await openEngines({
    env: { KNELL_NO_INSTALL: env['KNELL_NO_INSTALL'] },
    log,
    redis: { args: ['--appendfsync', 'always'] },
    rabbit: {
      plugins: ['rabbitmq_prometheus'],
      args: [`-rabbitmq_prometheus tcp_config [{port,${port}},{ip,"127.0.0.1"}]`],
    },
  })
  const { rabbit, redis } = engines
  if (rabbit === undefined || redis === undefined) {
    await engines.stop()
    throw new SetupError(
      'A soak kills its engines, so they must be processes of this machine: install rabbitmq-server and redis-server.',
    )
  }
  // What is private and called RabbitMQ was started by `startRabbit`.
  return {
    ...engines,
    rabbit: rabbit as PrivateRabbit,
    redis,
    metricsUrl: `http://127.0.0.1:${port}/metrics`,
  }
}
