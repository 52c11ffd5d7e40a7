import { serviceNames } from './messages.ts'
import type { AppliedMs } from './show.ts'

const TITLE_WIDTH = 16

/** A line of narration: what it is about, padded, then what there is to say. */
export function line(title: string, text: string): string {
  return `${title.padEnd(TITLE_WIDTH)} ${text}`
}

export function duration(ms: number | undefined): string {
  if (ms === undefined) return 'never'
  return ms < 1000 ? `${ms.toFixed(ms < 100 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** `api 3.1 ms, worker 3.4 ms, sessions 3.0 ms` */
export function perService(applied: AppliedMs): string {
  return serviceNames.map((name) => `${name} ${duration(applied[name])}`).join(', ')
}

/** The nearest-rank percentile; 0 of nothing. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0
}

/** Undefined of nothing. */
export function longest(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : Math.max(...values)
}

export function spread(values: readonly number[]): string {
  return `p50 ${duration(percentile(values, 50))}, p99 ${duration(percentile(values, 99))}`
}
