import type { Position } from './position.ts'
import type { Reason } from './reasons.ts'
import type { Rule } from './rule.ts'

/** What a caller sends in the header `Prefer` (RFC 7240) to be answered plain rules of a snapshot in runs. */
export const PREFER_RUNS = 'knell-runs'

/** The characters of one `jti` of a run. */
export const JTI_LENGTH = 36

/**
 * Plain revocations of one shard, epoch and reason: each of a `jti` of 36 characters, with one
 * cut-off for any `iat`, made where the rule was last written, and nothing else to be said of it.
 */
export interface PlainRun {
  readonly shard: number
  readonly epoch: string
  readonly term: number
  readonly reason: Reason
  /** 36 characters of each, one after the other. */
  readonly jtis: string
  readonly seqs: readonly number[]
  /** The last part of the id of each cut-off. */
  readonly indexes: readonly number[]
  readonly untils: readonly number[]
}

/** One rule of a run, as it would have come by itself. */
export function ruleOfRun(run: PlainRun, at: number): { position: Position; rule: Rule } {
  const { shard, term, reason } = run
  const seq = run.seqs[at] as number
  const id = `r${shard}-${term}-${seq}-${run.indexes[at] as number}`
  const jti = run.jtis.slice(at * JTI_LENGTH, (at + 1) * JTI_LENGTH)
  const cutoffs = [{ id, issuedBefore: null }]
  return {
    position: { term, seq },
    rule: { match: { jti }, until: run.untils[at] as number, cutoffs, reason },
  }
}
