import type { Row } from './result.ts'

const columns = ['what', 'knell', 'floor', 'peer', 'ratio', 'aim'] as const
const heads: Readonly<Record<(typeof columns)[number], string>> = {
  what: '',
  knell: 'Knell',
  floor: 'floor',
  peer: 'peer',
  ratio: 'ratio',
  aim: 'aim',
}

export interface Section {
  readonly title: string
  readonly rows: readonly Row[]
  readonly grid?: readonly (readonly string[])[]
  readonly notes: readonly string[]
}

/** All sections under one head; a column that nobody uses is left out. */
export function tableOf(sections: readonly Section[]): string {
  const rows = sections.flatMap((section) => section.rows)
  const used = columns.filter(
    (column) => column === 'what' || rows.some((row) => (row[column] ?? '') !== ''),
  )
  const widths = used.map((column) =>
    Math.max(
      ...[heads[column], ...rows.map((row) => row[column] ?? '')].map(({ length }) => length),
    ),
  )
  const lineOf = (texts: readonly string[]): string =>
    `  ${texts.map((text, i) => text.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd()
  const lines = rows.length > 0 ? [lineOf(used.map((column) => heads[column]))] : []
  for (const { title, rows: own, grid = [], notes } of sections) {
    lines.push('', title, ...own.map((row) => lineOf(used.map((column) => row[column] ?? ''))))
    lines.push(...gridLines(grid))
    for (const note of notes) lines.push(`  (${note})`)
  }
  return lines.join('\n')
}

/** A table whose columns are as wide as they must be; all but the first hold figures. */
function gridLines(grid: readonly (readonly string[])[]): string[] {
  const widths = (grid[0] ?? []).map((_, i) =>
    Math.max(...grid.map((texts) => texts[i]?.length ?? 0)),
  )
  return grid.map((texts) =>
    `  ${texts.map((text, i) => (i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0))).join('  ')}`.trimEnd(),
  )
}
