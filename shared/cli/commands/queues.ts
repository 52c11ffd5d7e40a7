import type { Command } from 'commander'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import { exitWith } from '../exit.ts'
import { showQueues, type Queues } from '../status/show-queues.ts'
import { answer } from '../terminal/print.ts'

/** `knell queues`: how full everything is. */
export function addQueuesCommand(program: Command): void {
  const command = withConnection(
    program
      .command('queues')
      .description('how full everything is, with a verdict: exit 0, or 1 where something fails'),
  )
  withExamples(command, [
    ['knell queues', 'is anything piling up?'],
    ['knell queues --json', 'the same for a machine'],
  ])
  command.action(async ({ json }: { json?: boolean }) => {
    const found = await clientOf(command).call<Queues>('/v1/queues')
    answer(json, found, showQueues)
    if (found.verdict === 'failing') exitWith('failed')
  })
}
