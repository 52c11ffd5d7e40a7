import { Option, type Command } from 'commander'
import { collect, matchOf, withMatch } from '../arguments/match-options.ts'
import { bulkRevoke } from '../bulk/bulk-revoke.ts'
import { withFile, withRun, type BulkFlags } from '../bulk/bulk-options.ts'
import {
  aimOf,
  detailsOf,
  withWait,
  withWords,
  type ChangeOptions,
} from '../changes/change-options.ts'
import { makeChange } from '../changes/make-change.ts'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import { UsageError } from '../usage-error.ts'

/** `knell revoke`: kills tokens now, or at a time. */
export function addRevokeCommand(program: Command): void {
  const command = withMatch(
    program.command('revoke').description('revoke tokens, one match or a whole file of them'),
  )
  command.option('--token <->', 'one token, read from standard input')
  withRevocation(command).option('--at <time>', 'do it then: +2h, 2026-01-31T12:00:00Z')
  withConnection(withRun(withFile(withWait(withWords(command)), '16')))
  withExamples(command, [
    ['knell revoke --sub alice --reason logout', 'all tokens of a user'],
    ['knell revoke --sub alice --except sid="$SID"', 'sign out everywhere else'],
    ['knell revoke --jti "$JTI" --wait all --timeout 10s', 'one token, with proof'],
    ['printf %s "$TOKEN" | knell revoke --token -', 'a token that is at hand'],
    ['knell revoke --kid 2026-01 --reason key-compromise --yes', 'what a stolen key has signed'],
    ['knell revoke --client-id app --dry-run', 'whom would it hit?'],
    ['knell revoke --from leavers.csv --rejects bad.ndjson', 'columns such as sub, reason, note'],
    ['knell revoke --from - --on-error stop < leavers.ndjson', 'one {"match":{…}} a line'],
  ])
  command.action(async (options: ChangeOptions & BulkFlags) => {
    if (options.from !== undefined) {
      if (matchOf(options) !== undefined || options.token !== undefined) {
        throw new UsageError('With --from the lines of the file say of whom.')
      }
      return bulkRevoke(clientOf(command), options.from, options)
    }
    const body = { ...(await aimOf(options)), ...detailsOf(options, Date.now()) }
    await makeChange(clientOf(command), body, options)
  })
}

/** Adds what only a revocation knows: the cut-off and whom it spares. */
export function withRevocation(command: Command): Command {
  return command
    .option('--issued-before <time>', 'only what was issued up to then; "any" is whenever')
    .addOption(
      new Option('--except <name=value>', 'spare tokens with this claim; repeatable').argParser(
        collect,
      ),
    )
}
