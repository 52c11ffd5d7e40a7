import type { StoredRule } from '../store/stored-rule.ts'

/** A rule as the API answers it: where it was last written, what goes on the wire, and every cut-off where that leaves some out. */
export function shownRule(shard: number, stored: StoredRule): Record<string, unknown> {
  const { epoch, seq, rule, cutoffs } = stored
  return { shard, epoch, seq, ...rule, ...(cutoffs === undefined ? {} : { allCutoffs: cutoffs }) }
}
