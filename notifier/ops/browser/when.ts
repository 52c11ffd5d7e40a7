import { call } from './api.ts'
import { placeOfId } from './positions.ts'

interface FeedAnswer {
  readonly entries: readonly (FeedEntry | { readonly body: string })[]
}

interface FeedEntry {
  readonly shard: number
  readonly seq: number
  readonly at: number
}

/**
 * When (ms) a revocation was made, by the entry of the feed that its id names; undefined where the
 * feed has let go of it, or where it was scheduled.
 */
export async function whenMade(
  id: string,
  tenant: string,
  shards: number,
): Promise<number | undefined> {
  const place = placeOfId(id)
  if (place === undefined || place.shard >= shards || place.seq < 1) return undefined
  const { shard, term, seq } = place
  const after = Array.from({ length: shards }, (_, each) =>
    each === shard ? `${term}-${seq - 1}` : '',
  )
  const query = new URLSearchParams({ tenant, after: after.join(','), limit: '1' })
  const answer = await call<FeedAnswer>('GET', `/v1/feed?${query}`)
  if (!answer.ok) return undefined
  const [first] = answer.body.entries
  if (first === undefined) return undefined
  const entry = 'body' in first ? (JSON.parse(first.body) as FeedEntry) : first
  return entry.shard === shard && entry.seq === seq ? entry.at : undefined
}
