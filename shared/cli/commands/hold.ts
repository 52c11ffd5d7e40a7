import { Option, type Command } from 'commander'
import { withMatch } from '../arguments/match-options.ts'
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

/** `knell hold`: refuses tokens until somebody has looked. */
export function addHoldCommand(program: Command): void {
  const command = withMatch(
    program.command('hold').description('refuse tokens until they are released or reviewed'),
  )
  command.option('--token <->', 'one token, read from standard input')
  withConnection(withWait(withWords(withReview(command))))
  withExamples(command, [
    [
      'knell hold --sub erin --review-by +1h --outcome revoke --reason anomaly',
      'a suspicion; with nobody to look, revoke in an hour',
    ],
    ['knell hold --sid "$SID" --review-by +15m --outcome release', 'one session, for a while'],
  ])
  command.action(async (options: ChangeOptions) => {
    const body = { ...(await aimOf(options)), ...detailsOf(options, Date.now()) }
    await makeChange(clientOf(command), body, options)
  })
}

/** Adds when a hold ends by itself, and how. */
export function withReview(command: Command): Command {
  return command
    .addOption(
      new Option('--review-by <time>', 'when it ends by itself: +1h').makeOptionMandatory(),
    )
    .addOption(
      new Option('--outcome <what>', 'what follows then')
        .choices(['release', 'revoke'])
        .makeOptionMandatory(),
    )
}
