import type { Command } from 'commander'

/** A command line as it is typed, and what it is for. A test runs each. */
export type Example = readonly [line: string, meaning: string]

const known = new WeakMap<Command, readonly Example[]>()

/** Shows the examples below a command's help, and keeps them for who runs them. */
export function withExamples(command: Command, examples: readonly Example[]): Command {
  known.set(command, examples)
  const lines = examples.map(([line, meaning]) => `  # ${meaning}\n  ${line}`)
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`)
}

export function examplesOf(command: Command): readonly Example[] {
  return known.get(command) ?? []
}
