import type { Instance, Position } from './types.ts'

/** Where a rule was last written: in which shard, and at which place of its feed. */
export interface Place {
  readonly shard: number
  readonly epoch: string
  readonly seq: number
}

function termOf(epoch: string): number {
  return Number(epoch.split('.')[0])
}

/** Whether an instance has applied what was written at a place, as far as it has said. */
export function hasApplied({ applied }: Instance, { shard, epoch, seq }: Place): boolean {
  const position: Position | undefined = applied[shard]
  if (position === undefined) return false
  const term = termOf(epoch)
  // Who has gone over to a later term has taken its snapshot, which holds it.
  return position.term > term || (position.term === term && position.seq >= seq)
}

const REVOCATION = /^r(\d+)-(\d+)-(\d+)-\d+$/

/** The place at which a revocation was made, from its id; undefined for one that was scheduled. */
export function placeOfId(id: string): { shard: number; term: number; seq: number } | undefined {
  const found = REVOCATION.exec(id)
  if (found === null) return undefined
  const [shard = 0, term = 0, seq = 0] = found.slice(1).map(Number)
  return { shard, term, seq }
}
