import type { Context } from 'mocha'
import { installWithApt, mayInstall } from '../../shared/cli/engines/apt.ts'
import { findProgram } from '../../shared/cli/engines/find-binaries.ts'
import { runCommand } from '../../shared/cli/engines/run-command.ts'

/** Programs that some tests need besides the engines, and the Debian package that brings each. */
const tools = {
  chromium: 'chromium',
  nginx: 'nginx-light',
  promtool: 'prometheus',
  python3: 'python3',
  openssl: 'openssl',
  'docker-compose': 'docker-compose',
  kubectl: 'kubernetes-client',
} as const

export type Tool = keyof typeof tools

const INSTALL_MS = 600_000

/**
 * The path of a program. Where it is missing it is installed with apt-get; where that may not be (no
 * Debian, no rights, or `KNELL_NO_INSTALL=1`) the tests of the suite are skipped, but never in CI.
 * To be called in a `before` hook.
 * @param modules Debian packages that the program needs besides, each with a command that succeeds once it is there
 */
export async function needTool(
  suite: Context,
  tool: Tool,
  modules: Readonly<Record<string, readonly string[]>> = {},
): Promise<string> {
  suite.timeout(INSTALL_MS)
  const missing = findProgram(tool) === undefined ? [tools[tool] as string] : []
  for (const [name, probe] of Object.entries(modules)) {
    const { code } = await runCommand(tool, probe, { timeoutMs: 10_000 })
    if (code !== 0) missing.push(name)
  }
  if (missing.length > 0) {
    if (await mayInstall(process.env)) await installWithApt(missing, (line) => console.error(line))
    else if (process.env['CI'] === 'true')
      throw new Error(`${missing.join(', ')} is not installed.`)
    else suite.skip()
  }
  const path = findProgram(tool)
  if (path === undefined) throw new Error(`${tool} was installed, but cannot be found.`)
  return path
}
