import { Command } from 'commander'
import process from 'node:process'
import { addAgentCommand } from '../../shared/cli/commands/agent.ts'
import { isKnellError } from '../../shared/domain/errors.ts'

const program = new Command('knell')
addAgentCommand(program)
try {
  await program.parseAsync(process.argv)
} catch (error) {
  if (!isKnellError(error, 'config_invalid')) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 78
}
