import type { Command } from 'commander'
import { parseCount } from '../arguments/count.ts'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import type { SweepReport } from '../status/read-status.ts'
import { caughtBy } from '../status/show-status.ts'
import { answer } from '../terminal/print.ts'
import { toTable } from '../terminal/table.ts'
import { showDuration, showMs } from '../terminal/time.ts'

/** The server answers by then that no sweep has ended yet. */
const SERVER_WAIT_MS = 60_000
const WAIT_MS = SERVER_WAIT_MS + 10_000

/** `knell sweep`: one now, or what the last ones caught. */
export function addSweepCommand(program: Command): void {
  const sweep = program.command('sweep').description('sweep now; what the sweeps have caught')
  const run = withConnection(
    sweep.command('run', { isDefault: true }).description('sweep now'),
  ).option('--wait', 'until it is done, and show its report')
  withExamples(run, [
    ['knell sweep', 'now, without waiting'],
    ['knell sweep --wait', 'and what did it catch?'],
  ])
  run.action(async ({ json, wait }: { json?: boolean; wait?: boolean }) => {
    const done = await clientOf(run).call<{ job: string; state?: string; report?: SweepReport }>(
      '/v1/sweeps',
      {
        body: wait === true ? { wait, timeoutMs: SERVER_WAIT_MS } : {},
        ...(wait === true ? { timeoutMs: WAIT_MS } : {}),
      },
    )
    const { job, state, report } = done
    answer(json, done, () => {
      if (report !== undefined) return `caught ${caughtBy(report)}`
      const isTaken = state === 'active' || state === 'completed'
      return isTaken
        ? `A sweep is under way (job ${job}).`
        : `A sweep was asked for (job ${job}, ${state}); a poller takes it.`
    })
  })
  const list = withConnection(
    sweep.command('ls').description('what the sweeps of the last day caught'),
  ).option('--limit <count>', 'so many at most', '20')
  withExamples(list, [['knell sweep ls --limit 5', 'the last five']])
  list.action(async ({ json, limit }: { json?: boolean; limit: string }) => {
    const query = { limit: parseCount('--limit', limit, 1000) }
    const found = await clientOf(list).call<{ sweeps: SweepReport[] }>('/v1/sweeps', { query })
    answer(json, found, () => table(found.sweeps))
  })
}

function table(sweeps: readonly SweepReport[]): string {
  if (sweeps.length === 0) return 'There was no sweep in the last day.'
  return toTable(
    ['at', 'trigger', 'took', 'caught'],
    sweeps.map((sweep) => [
      showMs(sweep.at),
      sweep.trigger,
      showDuration(sweep.durationMs),
      caughtBy(sweep),
    ]),
  )
}
