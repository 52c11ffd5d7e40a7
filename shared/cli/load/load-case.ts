import type { Bench } from '../bench/bench-context.ts'

/** What a load has shown. */
export interface LoadResult {
  /** By what it is; the unit is part of the name. */
  readonly figures: Readonly<Record<string, number>>
  /** Each promise that was not kept, as a sentence. */
  readonly missed: readonly string[]
}

export interface LoadCase {
  readonly name: string
  readonly title: string
  /** With `quick` it is small enough for a test. */
  readonly run: (bench: Bench, quick: boolean) => Promise<LoadResult>
}

/** Collects what was not kept. */
export class Promises {
  readonly missed: string[] = []

  keep(isKept: boolean, otherwise: string): void {
    if (!isKept) this.missed.push(otherwise)
  }
}
