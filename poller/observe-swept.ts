import type { Metrics } from '../shared/metrics/metrics.ts'
import { recoveredIn } from '../shared/metrics/recovered.ts'
import type { SweepReport } from './sweep.ts'

/** Counts a sweep that ended well, and what it caught. */
export function observeSwept(metrics: Metrics, report: SweepReport): void {
  metrics.observe('knell_sweep_duration_seconds', report.durationMs / 1000)
  for (const [what, count] of Object.entries(recoveredIn(report))) {
    metrics.count('knell_sweep_recovered_total', { what }, count)
  }
  metrics.count('knell_sweep_recovered_tokens_total', {}, report.overdueTokens)
  metrics.set('knell_sweep_last_success_timestamp_seconds', Date.now() / 1000)
}
