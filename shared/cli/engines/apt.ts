import { readFileSync } from 'node:fs'
import { findProgram } from './find-binaries.ts'
import { runCommand } from './run-command.ts'
import { SetupError } from './setup-error.ts'

const INSTALL_WITHIN_MS = 600_000

/**
 * Installs the packages named in its arguments. dpkg asks `policy-rc.d` before it starts a service;
 * for this moment the answer is no (101), and what was there before comes back at the end. Nor are
 * the services to start at the next boot.
 */
const script = `
set -eu
policy=/usr/sbin/policy-rc.d
kept=$(mktemp -d)
restore() {
  rm -f "$policy"
  if [ -e "$kept/policy" ]; then mv "$kept/policy" "$policy"; fi
  rm -rf "$kept"
}
trap restore EXIT
trap 'exit 1' HUP INT TERM
if [ -e "$policy" ]; then mv "$policy" "$kept/policy"; fi
printf '#!/bin/sh\\nexit 101\\n' > "$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install --yes --quiet --no-install-recommends "$@"; }
install "$@" || { apt-get update --quiet; install "$@"; }
if command -v systemctl > /dev/null; then systemctl disable "$@" || true; fi
`

/** Whether packages may be installed here: Debian or a child of it, as root or with a sudo that asks for nothing. */
export async function mayInstall(
  env: Readonly<Record<string, string | undefined>>,
): Promise<boolean> {
  if (env.KNELL_NO_INSTALL === '1') return false
  if (!isDebian() || findProgram('apt-get') === undefined) return false
  return isRoot() || (await sudoAsksNothing())
}

/** Installs Debian packages; their services are not started. Throws with apt's words if it fails. */
export async function installWithApt(
  packages: readonly string[],
  log: (line: string) => void,
): Promise<void> {
  log(
    `Installing ${packages.join(' and ')} with apt-get, without starting a service ` +
      '(set KNELL_NO_INSTALL=1 to forbid this) ...',
  )
  const shell = ['sh', '-c', script, 'sh', ...packages]
  const [file = 'sh', ...args] = isRoot() ? shell : ['sudo', '-n', ...shell]
  const { code, output } = await runCommand(file, args, { timeoutMs: INSTALL_WITHIN_MS })
  if (code === 0) return
  const lastLines = output.trim().split('\n').slice(-15).join('\n')
  throw new SetupError(`apt-get could not install ${packages.join(' and ')}:\n${lastLines}`)
}

export function isRoot(): boolean {
  return process.getuid?.() === 0
}

async function sudoAsksNothing(): Promise<boolean> {
  const { code } = await runCommand('sudo', ['-n', 'true'], { timeoutMs: 5_000 })
  return code === 0
}

function isDebian(): boolean {
  try {
    const text = readFileSync('/etc/os-release', 'utf8')
    return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(text)
  } catch {
    return false
  }
}
