import { Command } from 'commander'
import { addAgentCommand } from './commands/agent.ts'
import { addAuditCommand } from './commands/audit.ts'
import { addBenchCommand } from './commands/bench.ts'
import { addCheckCommand } from './commands/check.ts'
import { addConfigCommand } from './commands/config.ts'
import { addDeadCommand } from './commands/dead.ts'
import { addDoctorCommand } from './commands/doctor.ts'
import { addHoldCommand } from './commands/hold.ts'
import { addKeysCommand } from './commands/keys.ts'
import { addProcessCommands, addUpCommand } from './commands/processes.ts'
import { addQueuesCommand } from './commands/queues.ts'
import { addRegisterCommand } from './commands/register.ts'
import { addRevokeCommand } from './commands/revoke.ts'
import { addScheduleCommand } from './commands/schedule.ts'
import { addStatusCommand } from './commands/status.ts'
import { addSubscribersCommand } from './commands/subscribers.ts'
import { addSweepCommand } from './commands/sweep.ts'
import { addTailCommand } from './commands/tail.ts'
import { addTopologyCommand } from './commands/topology.ts'
import { addReleaseCommand, addRestoreCommand } from './commands/undo.ts'
import { hasColours } from './terminal/colours.ts'
import { knellVersion } from './version.ts'

/** The commands as the help lists them, in groups. A further one is one line here and a file in commands/. */
const groups: readonly (readonly [
  heading: string,
  add: readonly ((program: Command) => void)[],
])[] = [
  [
    'Tokens:',
    [
      addRevokeCommand,
      addHoldCommand,
      addReleaseCommand,
      addRestoreCommand,
      addScheduleCommand,
      addRegisterCommand,
      addCheckCommand,
      addKeysCommand,
    ],
  ],
  [
    'Looking:',
    [
      addStatusCommand,
      addTailCommand,
      addSubscribersCommand,
      addQueuesCommand,
      addAuditCommand,
      addDoctorCommand,
    ],
  ],
  ['Mending:', [addSweepCommand, addDeadCommand, addTopologyCommand]],
  [
    'Running:',
    [addUpCommand, addProcessCommands, addAgentCommand, addConfigCommand, addBenchCommand],
  ],
]

/** The whole command line. Nothing is read, opened or printed before it is given arguments. */
export function createProgram(): Command {
  const program = new Command('knell')
    .description('tells every service, within milliseconds, that a JWT has died')
    .version(knellVersion, '-V, --version')
    .helpCommand('help [command]', 'what a command does')
    .exitOverride()
    .showHelpAfterError('(--help says more)')
    .configureOutput({
      getOutHasColors: () => hasColours(process.stdout, process.env),
      getErrHasColors: () => hasColours(process.stderr, process.env),
    })
    .addHelpText(
      'after',
      '\nWhere and who: KNELL_URL and KNELL_API_KEY. What the exit codes mean: docs/cli.md.',
    )
  for (const [heading, add] of groups) {
    program.commandsGroup(heading)
    for (const addCommand of add) addCommand(program)
  }
  return program
}
