import { aims, showAim, type AimName, type Outcome } from './aims.ts'
import { describeMachine, type Machine } from './machine.ts'
import { markdownTable } from './markdown-table.ts'
import type { Line } from './result.ts'
import { show } from './statistics.ts'
import { cellsOf } from './table.ts'

/** One complete run: what `docs/performance.json` holds, the head in its first line and a case in each further one. */
export interface Run {
  readonly head: RunHead
  readonly lines: readonly Line[]
}

export interface RunHead {
  readonly date: string
  readonly seconds: number
  readonly machine: Machine
  /** A trial of the bench itself. */
  readonly quick?: true
}

/** What everyone must see who would take a trial for figures. */
export function warningOf({ quick }: RunHead): string[] {
  return quick === true
    ? ['**These figures are of a quick trial: they say that the bench works, and nothing else.**']
    : []
}

export function toJsonLines({ head, lines }: Run): string {
  return `${[head, ...lines].map((line) => JSON.stringify(line)).join('\n')}\n`
}

export function parseJsonLines(text: string): Run {
  const [head, ...lines] = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  return { head: head as RunHead, lines: lines as Line[] }
}

/** The figures of docs/performance.md. */
export function figuresOf(run: Run): string {
  const { date, seconds, machine } = run.head
  return [
    ...warningOf(run.head),
    `Measured on ${date} in ${Math.round(seconds / 60)} minutes: ${describeMachine(machine)}.`,
    '## Aims',
    aimsTable(run, Object.keys(aims) as AimName[]),
    '## Cases',
    ...run.lines.flatMap(caseOf),
  ].join('\n\n')
}

const headline: readonly AimName[] = [
  'push.p50',
  'revoke.applied',
  'expiry.perSecond',
  'expiry.jobs',
  'check.miss',
  'check.exists',
  'bytes.hour',
  'boot.rules',
]

/** The figures of the README. */
export function headlineOf(run: Run): string {
  const { date, machine } = run.head
  return [
    ...warningOf(run.head),
    aimsTable(run, headline),
    `Measured on ${date} on ${machine.cores} cores (${machine.cpu}) that everything shares.`,
  ].join('\n\n')
}

function aimsTable({ lines }: Run, names: readonly AimName[]): string {
  const outcomes = new Map<AimName, Outcome>()
  for (const line of lines) {
    if ('error' in line) continue
    for (const { aim } of line.rows) if (aim !== undefined) outcomes.set(aim.name, aim)
  }
  return markdownTable([
    ['', 'measured', 'aim', ''],
    ...names.map((name) => {
      const { what } = aims[name]
      const outcome = outcomes.get(name)
      if (outcome === undefined) return [what, '–', showAim(aims[name]), 'not measured']
      const { value, met } = outcome
      return [what, show(value), showAim(outcome), met ? 'met' : '**missed**']
    }),
  ])
}

function caseOf(line: Line): string[] {
  const head = `### ${line.title}`
  const name = `\`npm run bench -- ${line.case}\``
  if ('error' in line) return [head, `${name} broke off: ${line.error.split('\n')[0]}`]
  const { rows, grid = [], notes } = line
  return [
    head,
    name,
    ...(rows.length > 0 ? [markdownTable(cellsOf(rows))] : []),
    ...(grid.length > 0 ? [markdownTable(grid)] : []),
    ...notes,
  ]
}

const [BEGIN, END] = ['<!-- figures: begin -->', '<!-- figures: end -->']

/** A page with other figures between its marks. @throws Error where it has no marks */
export function withFigures(page: string, figures: string): string {
  const [head, rest, more] = page.split(BEGIN)
  const [, foot] = rest?.split(END) ?? []
  if (head === undefined || foot === undefined || more !== undefined) {
    throw new Error(`The page must have one ${BEGIN} and one ${END}.`)
  }
  return `${head}${BEGIN}\n\n${figures}\n\n${END}${foot}`
}
