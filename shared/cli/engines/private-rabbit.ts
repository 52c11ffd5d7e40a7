import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { connect } from 'amqplib'
import { killEpmd } from './epmd.ts'
import { findRabbit, hotCodeFolders, searchPath } from './find-binaries.ts'
import { freePort } from './free-port.ts'
import { clearAfterDeath } from './leftovers.ts'
import { openFolder, startOnFreePorts, type PrivateEngine } from './private-engine.ts'

export interface RabbitOptions {
  /** Keep the data here and leave it here; without it a temporary folder. */
  readonly dir?: string
  /** Further arguments to Erlang, such as `['-rabbit vm_memory_high_watermark 0.1']`. No spaces inside a term. */
  readonly args?: readonly string[]
  /** Lines of a `rabbitmq.conf`. Reading one makes the start slower. */
  readonly config?: readonly string[]
  /** The AMQP port; without it a free one. */
  readonly port?: number
  /** Plug-ins to enable; none by default, as each costs time at the start. */
  readonly plugins?: readonly string[]
}

/** Starts a RabbitMQ of our own on loopback. Resolves when it takes AMQP connections. */
export async function startRabbit(options: RabbitOptions = {}): Promise<PrivateEngine> {
  const command = findRabbit()
  if (command === undefined) throw new Error('No rabbitmq-server was found on this machine.')
  return startOnFreePorts(
    async () => {
      const port = options.port ?? (await freePort())
      const epmdPort = await freePort()
      const dir = await openFolder('rabbitmq', options.dir)
      const forgetEpmd = clearAfterDeath({ kind: 'epmd', port: epmdPort })
      const node = nodeOf(options.dir)
      const ports = { amqp: port, distribution: await freePort(), epmd: epmdPort }
      await writeFile(
        join(dir.path, 'enabled_plugins'),
        `[${(options.plugins ?? []).join(',')}].\n`,
      )
      if (options.config) await writeFile(configOf(dir.path), `${options.config.join('\n')}\n`)
      return {
        name: 'rabbitmq',
        url: `amqp://guest:guest@127.0.0.1:${port}`,
        port,
        dir,
        command,
        args: [],
        env: environment(dir.path, node, ports, [
          ...hotCodeFolders(command).map((folder) => `-pa ${folder}`),
          ...(options.args ?? []),
        ]),
        answers: () => answers(port, node),
        async afterStop() {
          await killEpmd(epmdPort)
          forgetEpmd()
        },
      }
    },
    options.port === undefined ? 3 : 1,
  )
}

/** The data of a node bear its name, so a folder that is kept must see the same one again. */
function nodeOf(dir: string | undefined): string {
  return dir === undefined ? `knell-${randomBytes(4).toString('hex')}` : 'knell-kept'
}

/** The file that is read if it is there. */
function configOf(dir: string): string {
  return join(dir, 'rabbitmq.conf')
}

function environment(
  dir: string,
  node: string,
  ports: { amqp: number; distribution: number; epmd: number },
  erlangArgs: readonly string[],
): NodeJS.ProcessEnv {
  const none = join(dir, 'none')
  return {
    PATH: searchPath().join(delimiter),
    LANG: 'C.UTF-8',
    HOME: dir,
    RABBITMQ_NODENAME: `${node}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: `${ports.amqp}`,
    RABBITMQ_DIST_PORT: `${ports.distribution}`,
    ERL_EPMD_PORT: `${ports.epmd}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_MNESIA_BASE: join(dir, 'data'),
    RABBITMQ_LOG_BASE: join(dir, 'log'),
    RABBITMQ_PID_FILE: join(dir, 'pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'enabled_plugins'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(dir, 'config'),
    // No file of the machine's own RabbitMQ is read; where there is none the slow config compiler is not run either.
    RABBITMQ_CONFIG_FILE: configOf(dir),
    RABBITMQ_CONFIG_FILES: `${none}.d`,
    RABBITMQ_ADVANCED_CONFIG_FILE: `${none}-advanced.config`,
    RABBITMQ_CONF_ENV_FILE: `${none}.env`,
    ERL_CRASH_DUMP_SECONDS: '0',
    // The script replaces itself by the broker, so that signals reach it and not a shell around it.
    RABBITMQ_ALLOW_INPUT: 'true',
    // Two brokers of two copies must not be bound to the same core; and a thread that spins for a
    // moment before it sleeps makes the many small file reads of the start faster.
    RABBITMQ_SCHEDULER_BIND_TYPE: 'u',
    RABBITMQ_SCHEDULER_BUSY_WAIT_THRESHOLD: 'very_short',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: [
      '-noinput',
      '-kernel inet_dist_use_interface {127,0,0,1}',
      '+S 2:2',
      '-rabbit disk_free_limit 1000000',
      '-ra wal_max_size_bytes 67108864',
      ...erlangArgs,
    ].join(' '),
  }
}

/** Whether the broker of this name takes AMQP connections; another one that has got hold of the port does not count. */
async function answers(port: number, node: string): Promise<boolean> {
  try {
    const model = await connect(`amqp://guest:guest@127.0.0.1:${port}`, { timeout: 2_000 })
    model.on('error', () => {})
    const { cluster_name: cluster } = model.connection.serverProperties
    await model.close()
    return cluster === undefined || cluster.startsWith(node)
  } catch {
    return false
  }
}
