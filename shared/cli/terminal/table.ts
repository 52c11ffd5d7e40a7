import Table from 'cli-table3'
import process from 'node:process'
import { paint } from './colours.ts'
import { harmless } from './print.ts'

type Cell = string | number | boolean | null | undefined

const NO_TERMINAL = 100
const GAP = 2
/** A column keeps this many characters at least, however narrow the terminal is. */
const LEAST = 6

/** Lines of aligned columns, without borders; what does not fit the terminal is wrapped within its column. */
export function toTable(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  width: number = process.stdout.columns ?? NO_TERMINAL,
): string {
  if (rows.length === 0) return ''
  const texts = rows.map((row) => row.map(textOf))
  const widths = planWidths(
    head.map((title, column) =>
      Math.max(title.length, ...texts.map((row) => row[column]?.length ?? 0)),
    ),
    width,
  )
  const table = new Table({
    chars: noBorders,
    style: { 'padding-left': 0, 'padding-right': GAP, head: [], border: [] },
    colWidths: widths.map((column) => column + GAP),
    wordWrap: true,
    wrapOnWordBoundary: false,
  })
  table.push(head.map((title) => paint('bold', title)))
  for (const row of texts) table.push([...row])
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

/** The widths of columns that together fit: the widest give way first. */
export function planWidths(wanted: readonly number[], width: number): number[] {
  const widths = wanted.map((column) => Math.max(1, column))
  const sum = (): number => widths.reduce((total, column) => total + column + GAP, 0)
  while (sum() > width) {
    const widest = widths.indexOf(Math.max(...widths))
    const now = widths[widest] ?? 0
    if (now <= LEAST) break
    widths[widest] = now - 1
  }
  return widths
}

/** Names and values beneath each other; what is undefined is left out. */
export function toList(rows: readonly (readonly [name: string, value: Cell])[]): string {
  const shown = rows.filter(([, value]) => value !== undefined)
  const longest = Math.max(...shown.map(([name]) => name.length))
  return shown
    .map(([name, value]) => `${paint('dim', name.padEnd(longest + GAP))}${textOf(value)}`)
    .join('\n')
}

function textOf(cell: Cell): string {
  return cell === undefined || cell === null ? '–' : harmless(String(cell))
}

const noBorders = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
}
