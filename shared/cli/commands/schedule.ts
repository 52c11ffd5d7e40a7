import type { Command } from 'commander'
import type { Match } from '../../domain/claims.ts'
import { showMatch, withMatch } from '../arguments/match-options.ts'
import { aimOf, detailsOf, withWords, type ChangeOptions } from '../changes/change-options.ts'
import { makeChange } from '../changes/make-change.ts'
import { pagesOf } from '../client/pages.ts'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import { answer } from '../terminal/print.ts'
import { toTable } from '../terminal/table.ts'
import { showSeconds } from '../terminal/time.ts'
import { withReview } from './hold.ts'
import { withRevocation } from './revoke.ts'

interface Schedule {
  readonly id: string
  readonly at: number
  readonly match: Match
  readonly reason?: string
  readonly hold?: { readonly outcome: string }
  readonly problem?: string
}

/** `knell schedule`: what is to happen at a time. */
export function addScheduleCommand(program: Command): void {
  const schedule = program
    .command('schedule')
    .description('revoke or hold at a time; list and cancel what waits')
  addMaking(schedule)
  addList(schedule)
  addCancel(schedule)
}

function addMaking(schedule: Command): void {
  const at = ['--at <time>', 'when: +2h, 2026-01-31T18:00:00Z'] as const
  const revoke = withMatch(schedule.command('revoke').description('revoke at a time, as of then'))
  withConnection(withWords(withRevocation(revoke).requiredOption(...at)))
  withExamples(revoke, [
    ['knell schedule revoke --sub frank --at +8h --reason deletion', 'the end of his last day'],
  ])
  const hold = withMatch(schedule.command('hold').description('hold at a time'))
  withConnection(withWords(withReview(hold).requiredOption(...at)))
  withExamples(hold, [
    [
      'knell schedule hold --client-id app --at +1h --review-by +2h --outcome release --yes',
      'a window for maintenance',
    ],
  ])
  for (const command of [revoke, hold]) {
    command.action(async (options: ChangeOptions) => {
      const body = { ...(await aimOf(options)), ...detailsOf(options, Date.now()) }
      await makeChange(clientOf(command), body, options)
    })
  }
}

function addList(schedule: Command): void {
  const list = withConnection(
    schedule.command('ls', { isDefault: true }).description('what waits, soonest first'),
  ).option('--limit <count>', 'so many at most', '1000')
  withExamples(list, [['knell schedule ls', 'what waits?']])
  list.action(async ({ json, limit }: { json?: boolean; limit: string }) => {
    const client = clientOf(list)
    const { tenant } = client.connection
    const schedules: Schedule[] = []
    for await (const page of pagesOf<Schedule>(client, '/v1/schedules', 'schedules', limit, {
      tenant,
    })) {
      schedules.push(...page)
    }
    answer(json, { schedules }, () =>
      schedules.length === 0 ? 'Nothing waits.' : table(schedules),
    )
  })
}

function table(schedules: readonly Schedule[]): string {
  return toTable(
    ['at', 'what', 'match', 'reason', 'id', 'problem'],
    schedules.map(({ id, at, match, reason, hold, problem }) => [
      showSeconds(at),
      hold === undefined ? 'revoke' : `hold, then ${hold.outcome}`,
      showMatch(match),
      reason,
      id,
      problem,
    ]),
  )
}

function addCancel(schedule: Command): void {
  const cancel = withConnection(
    schedule
      .command('cancel')
      .description('cancel what waits')
      .argument('<id>', 'what the schedule answered'),
  )
  withExamples(cancel, [['knell schedule cancel "$SCHEDULE"', 'he stays']])
  cancel.action(async (id: string, { json }: { json?: boolean }) => {
    const client = clientOf(cancel)
    const { tenant } = client.connection
    const done = await client.call('/v1/schedules', { method: 'DELETE', query: { id, tenant } })
    answer(json, done, () => `cancelled ${id}`)
  })
}
