import type { Metrics } from '../shared/metrics/metrics.ts'
import { recoveredKinds, type Recovered } from '../shared/metrics/metrics-table.ts'
import type { SweepReport } from './sweep.ts'

/** What a report counts under the metric's words. */
const counts: Readonly<Record<Recovered, (report: SweepReport) => number>> = {
  tokens: ({ overdueTokens }) => overdueTokens,
  expiring: ({ overdueExpiring }) => overdueExpiring,
  holds: ({ overdueHolds }) => overdueHolds,
  schedules: ({ overdueSchedules }) => overdueSchedules,
  entries: ({ unsentEntries }) => unsentEntries,
  resent: ({ resentEntries }) => resentEntries,
  closed: ({ closedEntries }) => closedEntries,
  lost: ({ lostEntries }) => lostEntries,
}

/** Counts a sweep that ended well, and what it caught. */
export function observeSwept(metrics: Metrics, report: SweepReport): void {
  metrics.observe('knell_sweep_duration_seconds', report.durationMs / 1000)
  for (const what of recoveredKinds) {
    metrics.count('knell_sweep_recovered_total', { what }, counts[what](report))
  }
  metrics.count('knell_sweep_recovered_tokens_total', {}, report.overdueTokens)
  metrics.set('knell_sweep_last_success_timestamp_seconds', Date.now() / 1000)
}
