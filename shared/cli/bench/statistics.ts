/** What several rounds gave. */
export interface Spread {
  readonly median: number
  readonly range: readonly [number, number]
}

/** The value below which the share `q` (0 to 1) of the values lies. @throws RangeError for no values */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]
  if (value === undefined) throw new RangeError('There are no values.')
  return value
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const low = sorted[Math.ceil(middle) - 1]
  const high = sorted[Math.floor(middle)]
  const [least, most] = [sorted[0], sorted.at(-1)]
  if (low === undefined || high === undefined || least === undefined || most === undefined) {
    throw new RangeError('There are no values.')
  }
  return { median: (low + high) / 2, range: [least, most] }
}

/** The ratios of rounds that were measured side by side. */
export function ratiosOf(values: readonly number[], others: readonly number[]): Spread {
  return spreadOf(values.map((value, i) => value / (others[i] ?? Number.NaN)))
}

/** Three significant digits; whole above a hundred, with thousands parted. */
export function show(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}

export function showSpread({ median, range }: Spread): string {
  const [least, most] = range
  return least === most ? show(median) : `${show(median)} [${show(least)}–${show(most)}]`
}
