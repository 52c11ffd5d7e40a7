import type { Command } from 'commander'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import { exitWith } from '../exit.ts'
import { answer } from '../terminal/print.ts'
import { isFailing, readStatus } from '../status/read-status.ts'
import { showStatus } from '../status/show-status.ts'

/** `knell status`: how Knell is, on one screen. */
export function addStatusCommand(program: Command): void {
  const command = withConnection(
    program
      .command('status')
      .description('how Knell is, on one screen: exit 0, or 1 where anything fails or is not told'),
  )
  withExamples(command, [
    ['knell status', 'how is it?'],
    ['knell status --json', 'the same for a machine'],
  ])
  command.action(async ({ json }: { json?: boolean }) => {
    const status = await readStatus(clientOf(command))
    answer(json, status, showStatus)
    if (isFailing(status)) exitWith('failed')
  })
}
