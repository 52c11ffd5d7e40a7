import type { Command } from 'commander'
import { CONNECTION } from '../../shared/cli/client/connection-options.ts'

const WIDTH = 100

/** Every command that does something, with its whole name. */
export function leavesOf(command: Command, path: readonly string[] = []): [string, Command][] {
  if (command.commands.length === 0) return [[path.join(' '), command]]
  return command.commands.flatMap((child) => leavesOf(child, [...path, child.name()]))
}

/** The reference of all commands, as it stands in docs/cli.md: what `--help` says, but for what all of them share. */
export function referenceOf(program: Command): string {
  const parts = leavesOf(program).map(([name, command]) => {
    command.configureHelp({
      helpWidth: WIDTH,
      visibleOptions: (shown) =>
        shown.options.filter(
          ({ helpGroupHeading, long }) => helpGroupHeading !== CONNECTION || long === '--json',
        ),
    })
    let text = ''
    command.configureOutput({
      writeOut: (chunk) => (text += chunk),
      getOutHelpWidth: () => WIDTH,
      getOutHasColors: () => false,
    })
    command.outputHelp()
    return `### knell ${name}\n\n\`\`\`text\n${text.trim()}\n\`\`\``
  })
  return parts.join('\n\n')
}
