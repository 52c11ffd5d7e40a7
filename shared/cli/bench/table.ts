import { showAim } from './aims.ts'
import type { Line, Row } from './result.ts'

const columns = ['what', 'knell', 'floor', 'peer', 'ratio', 'aim'] as const
type Column = (typeof columns)[number]
const heads: Readonly<Record<Column, string>> = {
  what: '',
  knell: 'Knell',
  floor: 'floor',
  peer: 'peer',
  ratio: 'ratio',
  aim: 'aim',
}

function cellOf(row: Row, column: Column): string {
  if (column !== 'aim') return row[column] ?? ''
  if (row.aim === undefined) return ''
  return `${showAim(row.aim)}: ${row.aim.met ? 'met' : 'MISSED'}`
}

/** Rows with their head; a column that nobody uses is left out. */
export function cellsOf(rows: readonly Row[]): string[][] {
  const used = columns.filter(
    (column) => column === 'what' || rows.some((row) => cellOf(row, column) !== ''),
  )
  return [
    used.map((column) => heads[column]),
    ...rows.map((row) => used.map((column) => cellOf(row, column))),
  ]
}

/** All cases under one head. */
export function tableOf(lines: readonly Line[]): string {
  const [head = [], ...cells] = cellsOf(lines.flatMap((line) => ('rows' in line ? line.rows : [])))
  const widths = widthsOf([head, ...cells])
  const textOf = (texts: readonly string[]): string =>
    `  ${texts.map((text, i) => text.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd()
  const shown = cells.length > 0 ? [textOf(head)] : []
  for (const line of lines) {
    shown.push('', line.title)
    if ('error' in line) {
      shown.push(`  broke off: ${line.error.split('\n')[0]}`)
      continue
    }
    shown.push(...cells.splice(0, line.rows.length).map(textOf), ...gridLines(line.grid ?? []))
    for (const note of line.notes) shown.push(`  (${note})`)
  }
  return shown.join('\n')
}

function widthsOf(cells: readonly (readonly string[])[]): number[] {
  return (cells[0] ?? []).map((_, i) =>
    cells.reduce((width, texts) => Math.max(width, texts[i]?.length ?? 0), 0),
  )
}

/** A table whose columns are as wide as they must be; all but the first hold figures. */
function gridLines(grid: readonly (readonly string[])[]): string[] {
  const widths = widthsOf(grid)
  return grid.map((texts) =>
    `  ${texts.map((text, i) => (i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0))).join('  ')}`.trimEnd(),
  )
}
