import { randomBytes } from 'node:crypto'
import { existsSync, realpathSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { connect } from 'amqplib'
import { commandLine, treeOf } from './engine-tree.ts'
import { killEpmd } from './epmd.ts'
import { findRabbit, hotCodeFolders, searchPath } from './find-binaries.ts'
import { freePort } from './free-port.ts'
import { clearAfterDeath } from './leftovers.ts'
import { openFolder, startOnFreePorts, type PrivateEngine } from './private-engine.ts'
import { runCommand } from './run-command.ts'

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
  /** Absent: a node of its own. */
  readonly member?: RabbitMember
}

/** One node of several that know each other. */
export interface RabbitMember {
  /** What the names of all its nodes begin with. */
  readonly cluster: string
  /** Its own, after that. */
  readonly name: string
  readonly cookie: string
  /** Where it listens; without it loopback, where all nodes share an Erlang port mapper, which the cluster ends. */
  readonly address?: string
  /** The network namespace that has this address. */
  readonly netns?: string
  readonly epmdPort: number
}

export interface PrivateRabbit extends PrivateEngine {
  /** Runs `rabbitmqctl` against this node and returns what it printed; throws with that where it fails. */
  control(...args: readonly string[]): Promise<string>
}

const CONTROL_WITHIN_MS = 60_000

/** Starts a RabbitMQ of our own on loopback. Resolves when it takes AMQP connections. */
export async function startRabbit(options: RabbitOptions = {}): Promise<PrivateRabbit> {
  const command = findRabbit()
  if (command === undefined) throw new Error('No rabbitmq-server was found on this machine.')
  const { member } = options
  let env: NodeJS.ProcessEnv = {}
  const engine = await startOnFreePorts(
    async () => {
      const port = options.port ?? (await freePort())
      const epmdPort = member?.epmdPort ?? (await freePort())
      const dir = await openFolder('rabbitmq', options.dir)
      const forgetEpmd = member ? () => {} : clearAfterDeath({ kind: 'epmd', port: epmdPort })
      const cluster = member?.cluster ?? nodeOf(options.dir)
      const address = member?.address ?? '127.0.0.1'
      const ports = { amqp: port, distribution: await freePort(), epmd: epmdPort }
      if (member) await writeCookie(dir.path, member.cookie)
      await writeFile(
        join(dir.path, 'enabled_plugins'),
        `[${(options.plugins ?? []).join(',')}].\n`,
      )
      if (options.config) await writeFile(configOf(dir.path), `${options.config.join('\n')}\n`)
      env = environment(dir.path, `${cluster}${member?.name ?? ''}`, address, ports, [
        ...hotCodeFolders(command).map((folder) => `-pa ${folder}`),
        ...(options.args ?? []),
      ])
      return {
        name: 'rabbitmq',
        url: `amqp://guest:guest@${address}:${port}`,
        port,
        dir,
        command,
        args: [],
        env,
        ...(member?.netns !== undefined && { netns: member.netns }),
        answers: () => answers(address, port, cluster),
        async afterStop() {
          if (member) return
          await killEpmd(epmdPort)
          forgetEpmd()
        },
      }
    },
    options.port === undefined ? 3 : 1,
  )
  return Object.assign(engine, {
    control: (...args: string[]) => control(command, env, args, member?.netns),
  })
}

/** The script lies next to the server's, where no wrapper asks for another user. */
async function control(
  server: string,
  env: NodeJS.ProcessEnv,
  args: readonly string[],
  netns?: string,
): Promise<string> {
  const path = treeOf('rabbitmq') === undefined ? realpathSync(server) : server
  const line = commandLine('rabbitmq', join(dirname(path), 'rabbitmqctl'), args, netns)
  const timeoutMs = CONTROL_WITHIN_MS
  const { code, output } = await runCommand(line.file, line.args, { env, timeoutMs })
  if (code !== 0) throw new Error(`rabbitmqctl ${args[0]} failed (${code}):\n${output}`)
  return output
}

/** The data of a node bear its name, so a folder that is kept must see the same one again. */
function nodeOf(dir: string | undefined): string {
  return dir === undefined ? `knell-${randomBytes(4).toString('hex')}` : 'knell-kept'
}

/** Nodes with the same cookie let each other in. */
async function writeCookie(dir: string, cookie: string): Promise<void> {
  const file = join(dir, '.erlang.cookie')
  if (!existsSync(file)) await writeFile(file, cookie, { mode: 0o400 })
}

/** The file that is read if it is there. */
function configOf(dir: string): string {
  return join(dir, 'rabbitmq.conf')
}

/** An address is a long name to Erlang, and all nodes of a cluster must have names of one kind. */
export function nodeNameOf(node: string, address: string): string {
  return `${node}@${address === '127.0.0.1' ? 'localhost' : address}`
}

function environment(
  dir: string,
  node: string,
  address: string,
  ports: { amqp: number; distribution: number; epmd: number },
  erlangArgs: readonly string[],
): NodeJS.ProcessEnv {
  const none = join(dir, 'none')
  return {
    PATH: searchPath().join(delimiter),
    LANG: 'C.UTF-8',
    HOME: dir,
    RABBITMQ_NODENAME: nodeNameOf(node, address),
    RABBITMQ_USE_LONGNAME: `${address !== '127.0.0.1'}`,
    RABBITMQ_NODE_IP_ADDRESS: address,
    RABBITMQ_NODE_PORT: `${ports.amqp}`,
    RABBITMQ_DIST_PORT: `${ports.distribution}`,
    ERL_EPMD_PORT: `${ports.epmd}`,
    ERL_EPMD_ADDRESS: address,
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
      `-kernel inet_dist_use_interface {${address.replaceAll('.', ',')}}`,
      '+S 2:2',
      '-rabbit disk_free_limit 1000000',
      '-ra wal_max_size_bytes 67108864',
      ...erlangArgs,
    ].join(' '),
  }
}

/** Whether a broker whose cluster's name begins so takes AMQP connections; another one that has got hold of the port does not count. */
async function answers(address: string, port: number, cluster: string): Promise<boolean> {
  try {
    const model = await connect(`amqp://guest:guest@${address}:${port}`, { timeout: 2_000 })
    model.on('error', () => {})
    const { cluster_name: found } = model.connection.serverProperties
    await model.close()
    return found === undefined || found.startsWith(cluster)
  } catch {
    return false
  }
}
