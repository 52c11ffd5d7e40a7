import { Option, type Command } from 'commander'
import { collect } from '../arguments/match-options.ts'
import { withJson } from '../client/connection-options.ts'
import { withExamples, type Example } from '../examples.ts'
import type { Action } from '../topology/options.ts'

interface Row {
  readonly action: Action
  readonly meaning: string
  readonly isJson: boolean
  readonly examples: readonly Example[]
}

const rows: readonly Row[] = [
  {
    action: 'show',
    meaning: 'what should be there; asks nobody',
    isJson: true,
    examples: [['knell topology show --service orders:revoked+expired', 'what will be declared?']],
  },
  {
    action: 'apply',
    meaning: 'declare what is missing; may be repeated, removes nothing',
    isJson: false,
    examples: [
      ['knell topology apply', 'the exchanges'],
      ['knell topology apply --service orders:revoked@default', 'and what orders needs'],
    ],
  },
  {
    action: 'check',
    meaning: 'look whether everything is there as it should be; changes nothing',
    isJson: false,
    examples: [['knell topology check --service orders:revoked', 'is all there?']],
  },
  {
    action: 'diff',
    meaning: 'only what differs: + missing, ~ different, ? not to be seen',
    isJson: true,
    examples: [['knell topology diff --service orders:revoked', 'what would apply change?']],
  },
  {
    action: 'permissions',
    meaning: 'the least rights of each role, as commands or definitions',
    isJson: true,
    examples: [
      ['knell topology permissions --service orders@default', 'commands to look at and run'],
      ['knell topology permissions --json', 'for rabbitmqctl import_definitions'],
    ],
  },
]

/** `knell topology`: what lasts in RabbitMQ. */
export function addTopologyCommand(program: Command): void {
  const topology = program
    .command('topology')
    .description('what lasts in RabbitMQ: show, declare, compare; AMQP_URL and NAMESPACE say where')
  for (const { action, meaning, isJson, examples } of rows) {
    const command = topology
      .command(action)
      .description(meaning)
      .addOption(
        new Option(
          '--service <name[:kind+kind][@tenant+tenant]>',
          'a service with handlers; repeatable',
        ).argParser(collect),
      )
    if (isJson) withJson(command)
    withExamples(command, examples)
    command.action(async ({ service = [], json }: { service?: string[]; json?: boolean }) => {
      const { runTopology } = await import('../topology/run-topology.ts')
      const named = service.flatMap((text) => ['--service', text])
      process.exitCode = await runTopology([action, ...named, ...(json === true ? ['--json'] : [])])
    })
  }
}
