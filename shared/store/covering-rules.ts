import {
  audiencesOf,
  matchKey,
  STANDING_SHAPES,
  type Claims,
  type Header,
  type Match,
} from '../domain/claims.ts'
import type { TtlStep } from '../domain/max-token-ttl.ts'
import { termOf } from '../domain/position.ts'
import { RuleTable } from '../domain/rule-table.ts'
import { shardOfMatch } from '../domain/shard.ts'
import type { FeedStore } from './feed-store.ts'
import type { RuleStore } from './rule-store.ts'
import type { Store } from './store.ts'
import type { StoredRule } from './stored-rule.ts'

/** The rules that can cover one token, and the moments at which they were read. */
export interface CoveringRules {
  /** Shard 0's time (ms), read before any other shard: the whole is at least as new. */
  readonly at: number
  /** The earliest time (ms) at which any of the shards answered: whatever is committed later has a later one. */
  readonly earliestAt: number
  readonly steps: readonly TtlStep[]
  readonly table: RuleTable
  readonly found: readonly { readonly shard: number; readonly stored: StoredRule }[]
}

interface Readers {
  readonly store: Store
  readonly rules: RuleStore
  readonly feed: FeedStore
}

/** Reads from the store whatever can cover a token with these claims and this header. @throws KnellError `store_*` */
export async function readCoveringRules(
  { store, rules, feed }: Readers,
  tenant: string,
  claims: Claims,
  header: Header | undefined,
): Promise<CoveringRules> {
  // Before the names of claims are read: what is revoked by others meanwhile is not asked for.
  const askedAt = await store.now(tenant)
  const [steps, uncommon] = await Promise.all([feed.maxTokenTtl(tenant), rules.shapes(tenant)])
  const shapes = new Set([...STANDING_SHAPES, ...uncommon])
  const byShard = new Map<number, Match[]>([[0, []]])
  const ask = (match: Match, shard = shardOfMatch(match, store.shards)): void => {
    byShard.set(shard, [...(byShard.get(shard) ?? []), match])
  }
  for (const match of matchesOf(claims, header, shapes)) ask(match)
  if (header === undefined) {
    // Without a header any live rule that names `kid` may be the one that kills; the table says whether one could.
    const shards = Array.from({ length: store.shards }, (_, shard) => shard)
    await Promise.all(
      shards.map(async (shard) => {
        for (const match of await rules.kidMatches(tenant, shard)) ask(match, shard)
      }),
    )
  }
  // Shard 0's time is read before any other shard, so the whole answer is at least as new.
  const first = await rules.get(tenant, 0, byShard.get(0) ?? [])
  byShard.delete(0)
  const table = new RuleTable({ packed: false })
  const answers = await Promise.all(
    [...byShard].map(async ([shard, matches]) => ({
      shard,
      ...(await rules.get(tenant, shard, matches)),
    })),
  )
  const covering: { shard: number; stored: StoredRule }[] = []
  for (const { shard, rules: found } of [{ shard: 0, ...first }, ...answers]) {
    for (const stored of found) {
      if (stored === undefined) continue
      covering.push({ shard, stored })
      table.put(shard, { term: termOf(stored.epoch) ?? 0, seq: stored.seq }, stored.rule)
    }
  }
  const earliestAt = Math.min(askedAt, first.at, ...answers.map(({ at }) => at))
  return { at: first.at, earliestAt, steps, table, found: covering }
}

/** Every match of these shapes that would cover the token: several per shape only for several audiences. */
function matchesOf(
  claims: Claims,
  header: Header | undefined,
  shapes: Iterable<string>,
): readonly Match[] {
  const found = new Map<string, Match>()
  for (const shape of shapes) {
    let partial: Match[] = [{}]
    for (const name of shape === '' ? [] : shape.split(',')) {
      const source = name === 'kid' ? [header?.['kid']] : [claims[name]]
      const values = name === 'aud' ? audiencesOf(claims).slice(0, 17) : source
      partial = partial.flatMap((match) =>
        values.flatMap((value) => (isValue(value) ? [{ ...match, [name]: value }] : [])),
      )
    }
    for (const match of partial) found.set(matchKey(match), match)
  }
  return [...found.values()]
}

function isValue(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}
