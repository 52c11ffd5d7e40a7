/** From `from` (NumericDate) on, tokens live at most `seconds`. */
export interface TtlStep {
  readonly from: number
  readonly seconds: number
}

/** Added to every `until`, and the most by which clocks may be assumed to differ. */
export const LEEWAY_SECONDS = 60

/** The step in force at `iat`: the last one whose `from` has come. Before the first step, the first. */
export function ttlAt(steps: readonly TtlStep[], iat: number): number | undefined {
  let seconds = steps[0]?.seconds
  for (const step of steps) if (step.from <= iat) seconds = step.seconds
  return seconds
}

/**
 * The largest step that still matters at `now`: the one in force, every later one, and every
 * earlier one under which a token could still be alive.
 */
export function largestTtl(steps: readonly TtlStep[], now: number): number | undefined {
  let largest: number | undefined
  for (const [i, step] of steps.entries()) {
    const next = steps[i + 1]
    const gone = next !== undefined && next.from + step.seconds + LEEWAY_SECONDS < now
    if (!gone && (largest === undefined || step.seconds > largest)) largest = step.seconds
  }
  return largest
}

/**
 * The steps after a change to `seconds` at `now`. A smaller maximum is in force at once; a larger
 * one takes force only after the old maximum + 60 s, when every process has read it and no rule
 * made under the old one can end before a token it should kill.
 */
export function planTtlChange(steps: readonly TtlStep[], seconds: number, now: number): TtlStep[] {
  const current = largestTtl(steps, now)
  if (current === undefined) return [{ from: 0, seconds }]
  const from = seconds > current ? now + current + LEEWAY_SECONDS : now
  const live = steps.filter((step, i) => {
    const next = steps[i + 1]
    return !(next !== undefined && next.from + step.seconds + LEEWAY_SECONDS < now)
  })
  return [...live.filter((step) => step.from < from), { from, seconds }]
}
