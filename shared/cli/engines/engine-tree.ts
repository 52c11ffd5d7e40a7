import { statSync } from 'node:fs'
import { join } from 'node:path'
import { SetupError } from './setup-error.ts'

/**
 * The variables that name, for each engine, the root of another Debian than this machine's: its servers are run then. How such
 * a tree is made is in `debian-tree.ts`.
 */
export const treeVariables = {
  rabbitmq: 'KNELL_RABBITMQ_TREE',
  redis: 'KNELL_REDIS_TREE',
} as const

type Engine = keyof typeof treeVariables

/** The tree from which this engine is run; undefined where it is this machine's own. */
export function treeOf(engine: Engine): string | undefined {
  const tree = process.env[treeVariables[engine]]
  return tree === '' ? undefined : tree
}

/** A path as the servers of the tree see it. The machine's own program of that path need not be there. */
export function programOfTree(engine: Engine, tree: string, path: string): string {
  if (statSync(join(tree, path), { throwIfNoEntry: false })?.isFile()) return path
  throw new SetupError(`${treeVariables[engine]} is given, but there is no ${join(tree, path)}.`)
}

/**
 * Runs a program on the tree's `/usr` and everything else of this machine, in a mount namespace of its own that nobody else
 * sees. So paths and ports mean the same as outside; each step replaces itself by the next, so that the process keeps its pid.
 */
const script = `
set -eu
mount --bind "$0/etc/ld.so.cache" /etc/ld.so.cache
mount --bind "$0/usr" /usr
exec "$@"
`

/** How to run a program of an engine: on its tree, where it has one, and in a network namespace, where one is named. */
export function commandLine(
  engine: Engine,
  command: string,
  args: readonly string[],
  netns?: string,
): { readonly file: string; readonly args: readonly string[] } {
  const tree = treeOf(engine)
  // Who is not root becomes so in a user namespace of his own, where the machine permits that.
  const rights = process.getuid?.() === 0 ? [] : ['--map-root-user']
  const onTree =
    tree === undefined ? [] : ['unshare', ...rights, '--mount', '--', 'sh', '-c', script, tree]
  const inNetwork = netns === undefined ? [] : ['ip', 'netns', 'exec', netns]
  const [file = command, ...rest] = [...inNetwork, ...onTree, command, ...args]
  return { file, args: rest }
}
