import { Command } from 'commander'
import { addCheckCommand } from './commands/check.ts'
import { addRevokeCommand } from './commands/revoke.ts'
import { addStatusCommand } from './commands/status.ts'
import { knellVersion } from './version.ts'

/** The whole command line. Nothing is read, opened or printed before it is given arguments. */
export function createProgram(): Command {
  const program = new Command('knell')
    .description('tells every service, within milliseconds, that a JWT has died')
    .version(knellVersion)
    .exitOverride()
    .showHelpAfterError('(knell --help says more)')
  addRevokeCommand(program)
  addCheckCommand(program)
  addStatusCommand(program)
  return program
}
