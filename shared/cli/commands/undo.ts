import type { Command } from 'commander'
import type { Match } from '../../domain/claims.ts'
import {
  matchOf,
  neededMatchOf,
  showMatch,
  withMatch,
  type MatchOptions,
} from '../arguments/match-options.ts'
import { showDryRun, type DryRun } from '../changes/show-change.ts'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import { answer } from '../terminal/print.ts'
import { toList } from '../terminal/table.ts'
import { UsageError } from '../usage-error.ts'

interface UndoOptions extends MatchOptions {
  readonly force?: boolean
  readonly by?: string
  readonly note?: string
  readonly dryRun?: boolean
  readonly json?: boolean
}

interface Lifted {
  readonly lifted: readonly string[]
  readonly match: Match
}

/** `knell release`: lifts a hold. */
export function addReleaseCommand(program: Command): void {
  const command = withUndo(withMatch(program.command('release').description('lift a hold')))
  withExamples(command, [
    ['knell release --sub erin', 'it was a false alarm'],
    ['knell release --sub erin --force', 'also where the store has lost the hold'],
  ])
  command.action(async (options: UndoOptions) => {
    await undo(command, 'release', { match: neededMatchOf(options) }, options)
  })
}

/** `knell restore`: undoes revocations. */
export function addRestoreCommand(program: Command): void {
  const command = withUndo(
    withMatch(
      program
        .command('restore')
        .description('undo one revocation or hold by its id, or all revocations of a match')
        .argument('[id]', 'what the revocation answered'),
    ),
  )
  withExamples(command, [
    ['knell restore "$ID"', 'exactly one; what stood before stands again'],
    ['knell restore --sub carol --dry-run', 'what would be lifted?'],
    ['knell restore --kid 2026-01', 'the key was not stolen after all'],
  ])
  command.action(async (id: string | undefined, options: UndoOptions) => {
    const match = matchOf(options)
    if ((id === undefined) === (match === undefined)) {
      throw new UsageError('Give either the id of a revocation or a match, such as --sub carol.')
    }
    await undo(command, 'restore', id === undefined ? { match } : { id }, options)
  })
}

function withUndo(command: Command): Command {
  return withConnection(
    command
      .option('--force', 'also where the store has lost it')
      .option('--by <who>', 'who wants it, for the audit trail')
      .option('--note <text>', 'a remark, for the audit trail')
      .option('--dry-run', 'only say what it would do'),
  )
}

async function undo(
  command: Command,
  what: 'release' | 'restore',
  aim: object,
  { force, by, note, dryRun, json }: UndoOptions,
): Promise<void> {
  const client = clientOf(command)
  const { tenant } = client.connection
  const body = { ...aim, tenant, force, by, note, dryRun }
  const path = `/v1/revocations/${what}`
  if (dryRun === true) {
    const found = await client.call<DryRun>(path, { body })
    answer(json, found, showDryRun)
    return
  }
  const done = await client.call<Lifted>(path, { body })
  answer(json, done, ({ match, lifted }) =>
    toList([
      [`${what}d`, showMatch(match)],
      ['lifted', lifted.join(', ') || 'nothing'],
    ]),
  )
}
