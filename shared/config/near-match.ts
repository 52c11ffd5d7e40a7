/** The least number of characters to insert, delete, replace or swap with their neighbour. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let least = Math.min(
        (above[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (above[j - 1] ?? 0) + (same ? 0 : 1),
      )
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] ?? 0) + 1)
      }
      row.push(least)
    }
    before = above
    above = row
  }
  return above[b.length] ?? 0
}

/**
 * The name a mistyped one probably stands for, case aside, or undefined. A name may be off by one
 * character, a name of eight or more by two; names under five characters have no near match, for
 * so many words are close to them (`HOME` is no mistyped `HOST`). `most` lowers these numbers.
 */
export function nearMatch(text: string, names: Iterable<string>, most = 2): string | undefined {
  let best: string | undefined
  let least = Infinity
  for (const name of names) {
    const allowed = Math.min(most, name.length < 5 ? 0 : name.length < 8 ? 1 : 2)
    if (allowed === 0 || Math.abs(name.length - text.length) > allowed) continue
    const off = distance(text.toLowerCase(), name.toLowerCase())
    if (off <= allowed && off < least) {
      best = name
      least = off
    }
  }
  return best
}
