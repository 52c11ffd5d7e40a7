import type { SweepFacts } from './judge.ts'

/**
 * How the sweeps run, from their newest reports in any order: how long ago the last began, and how
 * far they usually lie apart, which is what SWEEP_CRON makes of it. Undefined where there is none.
 */
export function sweepFactsOf(
  reports: readonly { readonly at: number }[],
  now: number,
): SweepFacts | undefined {
  const times = reports.map(({ at }) => at).sort((a, b) => b - a)
  const [last] = times
  if (last === undefined) return undefined
  const gaps = times.slice(1).map((at, i) => (times[i] ?? at) - at)
  // The middle one: a poller that was down for a night must not make long silences usual.
  const everyMs = gaps.sort((a, b) => a - b)[Math.floor(gaps.length / 2)]
  return { agoMs: Math.max(0, now - last), everyMs }
}
