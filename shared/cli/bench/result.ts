import type { Outcome } from './aims.ts'

/** Named figures, in the unit of their case unless the name says otherwise. A range is `[least, most]` over the rounds. */
export type Figures = Readonly<Record<string, number | readonly [number, number]>>

/** The figures of a case. A ratio is always Knell's figure divided by the other one. */
export interface CaseRecord {
  readonly case: string
  readonly unit: string
  readonly knell: Figures
  /** The least that any program with the same parts would cost. */
  readonly floor?: Figures
  /** What somebody without Knell would do instead. */
  readonly peer?: Figures
  /** Where there is more to compare than Knell, one floor and one peer. */
  readonly strategies?: Readonly<Record<string, Figures>>
  /** Further peers, by name. */
  readonly peers?: Readonly<Record<string, Figures>>
  readonly ratioToFloor?: number
  readonly ratioToPeer?: number
  readonly ratioRange?: readonly [number, number]
}

/** One line of the table. */
export interface Row {
  readonly what: string
  readonly knell: string
  readonly floor?: string
  readonly peer?: string
  readonly ratio?: string
  readonly aim?: Outcome
}

export interface CaseResult {
  readonly record: CaseRecord
  readonly rows: readonly Row[]
  /** A table of its own, its heads first, where the columns of all cases do not fit. */
  readonly grid?: readonly (readonly string[])[]
  /** What one must know to read the figures. */
  readonly notes: readonly string[]
}

/** What `--json` prints of a case, on a line of its own: the figures, and the table as it is shown. */
export interface CaseLine extends CaseRecord, Omit<CaseResult, 'record'> {
  readonly title: string
  readonly seconds: number
}

/** What it prints of a case that broke off. */
export interface BrokenLine {
  readonly case: string
  readonly title: string
  readonly seconds: number
  readonly error: string
}

export type Line = CaseLine | BrokenLine
