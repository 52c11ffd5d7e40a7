import type { Command } from 'commander'
import { parseCount } from '../arguments/count.ts'
import { durationOf } from '../arguments/moment.ts'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import { exitWith } from '../exit.ts'
import type { SweepReport } from '../status/read-status.ts'
import { caughtBy } from '../status/show-status.ts'
import { answer, note } from '../terminal/print.ts'
import { toTable } from '../terminal/table.ts'
import { showDuration, showMs } from '../terminal/time.ts'

const MARGIN_MS = 30_000

/** What `POST /v1/sweeps` answers: without a report where the sweep is not done yet. */
interface Asked {
  readonly job: string
  readonly report?: SweepReport
}

interface RunOptions {
  readonly json?: boolean
  readonly wait?: boolean
  readonly timeout: string
}

/** `knell sweep`: one now, or what the last ones caught. */
export function addSweepCommand(program: Command): void {
  const sweep = program.command('sweep').description('sweep now; what the sweeps have caught')
  const run = withConnection(sweep.command('run', { isDefault: true }).description('sweep now'))
    .option('--wait', 'until it is done, and show its report')
    .option('--timeout <duration>', 'how long to wait at most', '30s')
  withExamples(run, [
    ['knell sweep', 'now, without waiting'],
    ['knell sweep --wait', 'and what did it catch?'],
  ])
  run.action(async ({ json, wait, timeout }: RunOptions) => {
    const timeoutMs = durationOf(timeout)
    const done = await clientOf(run).call<Asked>('/v1/sweeps', {
      body: wait === true ? { wait, timeoutMs } : {},
      timeoutMs: timeoutMs + MARGIN_MS,
    })
    const { report } = done
    answer(json, done, ({ job, report }) =>
      report === undefined ? `asked for (job ${job})` : `caught ${caughtBy(report)}`,
    )
    if (wait === true && report === undefined) {
      note('It was not done in time. Does a poller run?')
      exitWith('unknown')
    }
  })
  const list = withConnection(
    sweep.command('ls').description('what the sweeps of the last day caught'),
  ).option('--limit <count>', 'so many at most', '20')
  withExamples(list, [['knell sweep ls --limit 5', 'the last five']])
  list.action(async ({ json, limit }: { json?: boolean; limit: string }) => {
    const query = { limit: parseCount('--limit', limit, 1000) }
    const found = await clientOf(list).call<{ sweeps: SweepReport[] }>('/v1/sweeps', { query })
    answer(json, found, ({ sweeps }) => table(sweeps))
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
