import type { Context } from 'mocha'
import { installWithApt, mayInstall } from '../../shared/cli/engines/apt.ts'
import { findProgram, searchPath } from '../../shared/cli/engines/find-binaries.ts'
import { runCommand } from '../../shared/cli/engines/run-command.ts'

/** Programs that some tests need besides the engines, and the Debian package that brings each. */
const tools = {
  chromium: 'chromium',
  nginx: 'nginx-light',
  promtool: 'prometheus',
  python3: 'python3',
  openssl: 'openssl',
  'docker-compose': 'docker-compose',
  faketime: 'faketime',
  kubectl: 'kubernetes-client',
} as const

export type Tool = keyof typeof tools

const INSTALL_MS = 600_000

/**
 * The path of a program. Where it is missing it is installed with apt-get; where that may not be (no
 * Debian, no rights, or `KNELL_NO_INSTALL=1`) the tests of the suite are skipped, but never in CI.
 * To be called in a `before` hook.
 * @param modules Debian packages that the program needs besides, each with arguments with which it succeeds once they are
 *   there. Of several programs of one name the first that has them is taken.
 */
export async function needTool(
  suite: Context,
  tool: Tool,
  modules: Readonly<Record<string, readonly string[]>> = {},
): Promise<string> {
  suite.timeout(INSTALL_MS)
  const found = await findTool(tool, Object.values(modules))
  if (found !== undefined) return found
  const missing = [tools[tool], ...Object.keys(modules)]
  if (await mayInstall(process.env)) await installWithApt(missing, (line) => console.error(line))
  else if (process.env['CI'] === 'true') throw new Error(`${missing.join(', ')} is not installed.`)
  else suite.skip()
  const path = await findTool(tool, Object.values(modules))
  if (path === undefined) throw new Error(`${tool} was installed, but cannot be found.`)
  return path
}

async function findTool(
  tool: Tool,
  probes: readonly (readonly string[])[],
): Promise<string | undefined> {
  for (const folder of searchPath()) {
    const path = findProgram(tool, [folder])
    if (path === undefined) continue
    const results = await Promise.all(
      probes.map((probe) => runCommand(path, probe, { timeoutMs: 10_000 })),
    )
    if (results.every(({ code }) => code === 0)) return path
  }
  return undefined
}
