import type { Match } from '../domain/claims.ts'
import { wholeCutoff } from '../domain/rule.ts'
import { shardOfMatch } from '../domain/shard.ts'
import type { RuleStore } from '../store/rule-store.ts'

/** Those of these keys of a tenant of which every token is dead. @throws KnellError `store_*` */
export async function readRevokedKeys(
  rules: RuleStore,
  { tenant, kids, shards }: { tenant: string; kids: readonly string[]; shards: number },
): Promise<ReadonlySet<string>> {
  const byShard = new Map<number, Match[]>()
  for (const kid of kids) {
    const shard = shardOfMatch({ kid }, shards)
    byShard.set(shard, [...(byShard.get(shard) ?? []), { kid }])
  }
  const revoked = new Set<string>()
  await Promise.all(
    [...byShard].map(async ([shard, matches]) => {
      for (const stored of (await rules.get(tenant, shard, matches)).rules) {
        const cutoffs = stored?.cutoffs ?? stored?.rule.cutoffs ?? []
        if (wholeCutoff(cutoffs) !== undefined) revoked.add(String(stored?.rule.match['kid']))
      }
    }),
  )
  return revoked
}
