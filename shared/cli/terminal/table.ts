import Table from 'cli-table3'
import process from 'node:process'
import { paint, type Styled } from './colours.ts'
import { harmless } from './print.ts'

type Cell = string | number | boolean | null | undefined
/** What a list shows of one name: a cell, or pieces beside each other of which some have a style. */
type Value = Cell | readonly (string | Styled)[]

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
    head.map((title) => Math.max(LEAST, ...title.split(' ').map((word) => word.length))),
  )
  // Painted once it is laid out: what is wrapped counts every character of a style as one to show.
  const heading = layOut([head], widths, true).split('\n')
  return [
    ...heading.map((line) => line.replaceAll(/\S+(?: \S+)*/g, (title) => paint('bold', title))),
    layOut(texts, widths, false),
  ].join('\n')
}

function layOut(
  rows: readonly (readonly string[])[],
  widths: readonly number[],
  wrapOnWordBoundary: boolean,
): string {
  const table = new Table({
    chars: noBorders,
    style: { 'padding-left': 0, 'padding-right': GAP, head: [], border: [] },
    colWidths: widths.map((column) => column + GAP),
    wordWrap: true,
    wrapOnWordBoundary,
  })
  for (const row of rows) table.push([...row])
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

/** The widths of columns that together fit: the widest that may gives way first, none below its `least`. */
export function planWidths(
  wanted: readonly number[],
  width: number,
  least: readonly number[] = wanted.map(() => LEAST),
): number[] {
  const widths = wanted.map((column) => Math.max(1, column))
  const sum = (): number => widths.reduce((total, column) => total + column + GAP, 0)
  while (sum() > width) {
    const yielding = widths.map((now, column) => (now > (least[column] ?? LEAST) ? now : 0))
    const widest = Math.max(...yielding)
    if (widest === 0) break
    widths[yielding.indexOf(widest)] = widest - 1
  }
  return widths
}

/** Names and values beneath each other; what is undefined is left out. */
export function toList(rows: readonly (readonly [name: string | Styled, value: Value])[]): string {
  const shown = rows.filter(([, value]) => value !== undefined)
  const longest = Math.max(...shown.map(([name]) => lengthOf(name)))
  return shown
    .map(([name, value]) => {
      const gap = ' '.repeat(longest - lengthOf(name) + GAP)
      const { text, style } =
        typeof name === 'string' ? { text: name, style: 'dim' as const } : name
      return `${paint(style, text)}${gap}${textOfValue(value)}`
    })
    .join('\n')
}

function lengthOf(name: string | Styled): number {
  return typeof name === 'string' ? name.length : name.text.length
}

function textOfValue(value: Value): string {
  if (!isPieces(value)) return textOf(value)
  return value
    .map((piece) =>
      typeof piece === 'string' ? harmless(piece) : paint(piece.style, harmless(piece.text)),
    )
    .join('')
}

function isPieces(value: Value): value is readonly (string | Styled)[] {
  return Array.isArray(value)
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
