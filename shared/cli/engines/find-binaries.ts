import { accessSync, constants, readdirSync, realpathSync, statSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { programOfTree, treeOf } from './engine-tree.ts'

/** Where packages and Homebrew put servers that the PATH of an ordinary user leaves out. */
const usualFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']
const homebrewFolders = [
  '/opt/homebrew/sbin',
  '/opt/homebrew/bin',
  '/home/linuxbrew/.linuxbrew/bin',
]

/** The start script itself, in the folders of Debian and RPM packages and of the generic archive. */
const rabbitHomes = ['/usr/lib/rabbitmq/bin', '/usr/local/lib/rabbitmq/bin', '/opt/rabbitmq/sbin']

/** The PATH of this process and the folders that it may lack. */
export function searchPath(): string[] {
  const own = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return [...new Set([...own, ...usualFolders, ...homebrewFolders])]
}

/** The first of these folders' programs of this name that can be run. */
export function findProgram(
  name: string,
  folders: readonly string[] = searchPath(),
  accepts: (path: string) => boolean = () => true,
): string | undefined {
  for (const folder of folders) {
    const path = runnable(join(folder, name))
    if (path !== undefined && accepts(path)) return path
  }
  return undefined
}

function runnable(path: string): string | undefined {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile() ? path : undefined
  } catch {
    return undefined
  }
}

export function findRedis(): string | undefined {
  const tree = treeOf('redis')
  if (tree !== undefined) return programOfTree('redis', tree, '/usr/bin/redis-server')
  return findProgram('redis-server')
}

/** The start script of RabbitMQ. Packages put a wrapper on the PATH that insists on the user `rabbitmq`; it is of no use here. */
export function findRabbit(): string | undefined {
  const tree = treeOf('rabbitmq')
  if (tree !== undefined) {
    return programOfTree('rabbitmq', tree, '/usr/lib/rabbitmq/bin/rabbitmq-server')
  }
  if (findProgram('erl') === undefined) return undefined
  return findProgram(
    'rabbitmq-server',
    [...rabbitHomes, ...searchPath()],
    (path) => !basename(realpathSync(path)).includes('wrapper'),
  )
}

/**
 * Erlang looks for each module in one folder after the other, about a hundred of them with RabbitMQ's
 * plug-ins, and RabbitMQ loads some 1,500 modules at its start. Naming the folders that hold most of
 * them first halves the time it takes. A folder that is missing here costs time only.
 */
export function hotCodeFolders(rabbitScript: string): string[] {
  const tree = treeOf('rabbitmq') ?? ''
  const plugins = join(homeOf(tree + rabbitScript), 'plugins')
  const rabbit = codeFolders(plugins).filter((folder) => isHot.test(appOf(folder)))
  const erl = tree === '' ? findProgram('erl') : `${tree}/usr/bin/erl`
  if (erl === undefined) return rabbit
  const otp = [join(homeOf(erl), 'lib'), join(homeOf(erl), 'lib', 'erlang', 'lib')]
    .map(codeFolders)
    .find((folders) => folders.some((folder) => appOf(folder).startsWith('kernel-')))
  const root = tree === '' ? '' : realpathSync(tree)
  return [...rabbit, ...(otp ?? [])].map((folder) => folder.slice(root.length))
}

/** The folder above the `bin` or `sbin` that a program really lies in. */
function homeOf(program: string): string {
  return dirname(dirname(realpathSync(program)))
}

/** The name of the library, with its version, that a folder of code belongs to. */
function appOf(folder: string): string {
  return basename(dirname(folder))
}

const isHot =
  /^(rabbit|rabbit_common|rabbitmq_prelaunch|ra|osiris|ranch|aten|gen_batch_server|seshat|cuttlefish|getopt|jsx|recon|sysmon_handler|stdout_formatter|credentials_obfuscation|syslog|systemd|enough|observer_cli|khepri|khepri_mnesia_migration|horus|oauth2_client|redbug|thoas|amqp10_common)-\d/

function codeFolders(library: string): string[] {
  try {
    return readdirSync(library)
      .map((name) => join(library, name, 'ebin'))
      .filter((folder) => statSync(folder, { throwIfNoEntry: false })?.isDirectory())
  } catch {
    return []
  }
}
