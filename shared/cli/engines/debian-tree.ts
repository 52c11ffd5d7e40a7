import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rename } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { installWithApt, isRoot, mayInstall } from './apt.ts'
import { findProgram } from './find-binaries.ts'
import { clearAfterDeath } from './leftovers.ts'
import { showProgress } from './progress.ts'
import { runCommand } from './run-command.ts'
import { SetupError } from './setup-error.ts'
import { aptPackages } from './what-to-install.ts'

/** Debian 12, with RabbitMQ 3.10 and Redis 7.0, and Debian 13, with RabbitMQ 4.0 and Redis 8.0. */
export type DebianSuite = 'bookworm' | 'trixie'

const MADE_WITHIN_MS = 1_800_000

/** What apt fetched to make the tree is half of it, and nothing reads it again. */
const script = `
set -eu
suite=$1 tree=$2 packages=$3
shift 3
debootstrap --variant=minbase --include="$packages" "$suite" "$tree" "$@"
rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/*
chmod 755 "$tree"
`

/**
 * The root of a Debian of this suite with RabbitMQ and Redis in it, made once with debootstrap and kept in a cache folder
 * (`KNELL_CACHE`, else that of the XDG base directories). Undefined where this machine is of that suite itself.
 */
export async function openTree(
  suite: DebianSuite,
  log: (line: string) => void,
): Promise<string | undefined> {
  if (ownSuite() === suite) return undefined
  const tree = join(cacheFolder(), `debian-${suite}`)
  if (!existsSync(tree)) {
    await needDebootstrap(log)
    await showProgress(log, `the making of ${tree}`, makeTree(suite, tree), 30_000)
  }
  return tree
}

/** Under another name at first, so that a tree that was not finished is never taken for one. */
async function makeTree(suite: DebianSuite, tree: string): Promise<void> {
  mkdirSync(cacheFolder(), { recursive: true })
  const part = await mkdtemp(`${tree}.part-`)
  const [rm = 'rm', ...rmArgs] = asRoot(['rm', '-rf', part])
  const forget = clearAfterDeath({
    kind: 'command',
    file: rm,
    args: rmArgs,
    env: { PATH: process.env['PATH'] ?? '' },
  })
  // What debootstrap mounts inside the tree it mounts in a namespace of its own, which ends with it.
  const shell = ['unshare', '--mount', '--', 'sh', '-c', script, 'sh']
  const packages = Object.values(aptPackages).join(',')
  const [file = '', ...args] = asRoot([...shell, suite, part, packages, ...(await mirrors())])
  const { code, output } = await runCommand(file, args, { timeoutMs: MADE_WITHIN_MS })
  // Another copy may have been faster; then the tree is there already.
  if (code === 0 && !existsSync(tree)) await rename(part, tree)
  else await runCommand(rm, rmArgs, { timeoutMs: MADE_WITHIN_MS })
  forget()
  if (code === 0) return
  const lastLines = output.trim().split('\n').slice(-15).join('\n')
  throw new SetupError(`debootstrap could not make ${tree}:\n${lastLines}`)
}

/** The mirror that this machine's own packages come from, if it is one of Debian; else debootstrap knows one. */
async function mirrors(): Promise<string[]> {
  const format = '$(ORIGIN) $(LABEL) $(REPO_URI)'
  const { output } = await runCommand(
    'apt-get',
    ['indextargets', '--format', format, 'Identifier: Packages'],
    { timeoutMs: 30_000 },
  )
  const found = /^Debian Debian (\S+)$/m.exec(output)?.[1]
  return found === undefined ? [] : [found]
}

async function needDebootstrap(log: (line: string) => void): Promise<void> {
  const may = await mayInstall(process.env)
  if (findProgram('debootstrap') === undefined && may) await installWithApt(['debootstrap'], log)
  if (findProgram('debootstrap') !== undefined && (isRoot() || may)) return
  throw new SetupError(
    'To run RabbitMQ and Redis of another Debian a tree is made with debootstrap, as root or with a ' +
      'sudo that asks for nothing. Install debootstrap, or run this command on Debian as root.',
  )
}

function asRoot(command: readonly string[]): readonly string[] {
  return isRoot() ? command : ['sudo', '-n', ...command]
}

function cacheFolder(): string {
  const { KNELL_CACHE, XDG_CACHE_HOME } = process.env
  return KNELL_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'knell')
}

function ownSuite(): string | undefined {
  try {
    const text = readFileSync('/etc/os-release', 'utf8')
    return /^ID=debian$/m.test(text) ? /^VERSION_CODENAME=(\w+)$/m.exec(text)?.[1] : undefined
  } catch {
    return undefined
  }
}
