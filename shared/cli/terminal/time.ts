/** A NumericDate as people read it, in UTC: `2026-01-31T12:00:00Z`. */
export function showSeconds(seconds: number): string {
  return showMs(seconds * 1000)
}

/** Milliseconds since the Unix epoch as people read them, to the second. */
export function showMs(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString().replace(/\.\d+Z$/, 'Z')
}

const units: readonly [name: string, ms: number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
]

/** A length of time in its two largest units: `340 ms`, `1.5 s`, `2 min 5 s`, `3 d 4 h`. */
export function showDuration(ms: number): string {
  const whole = Math.max(0, Math.round(ms))
  if (whole < 1000) return `${whole} ms`
  if (whole < 10_000) return `${(whole / 1000).toFixed(1).replace(/\.0$/, '')} s`
  const first = units.findIndex(([, size]) => whole >= size)
  const [name = 's', size = 1000] = units[first] ?? []
  const [small, smallSize = 0] = units[first + 1] ?? []
  const count = Math.floor(whole / size)
  const rest = small === undefined ? 0 : Math.floor((whole % size) / smallSize)
  return rest === 0 ? `${count} ${name}` : `${count} ${name} ${rest} ${small}`
}
