import type { Store } from './store.ts'
import { toStoreError } from './store-error.ts'

/** A shard in which a hold or a schedule may be due. */
export interface DueShard {
  readonly tenant: string
  readonly shard: number
}

/**
 * Notes when a shard next has something due. It is a hint that makes a pass cheap, however many
 * tenants there are: a note that is lost costs time only, since the sweep looks into every shard.
 */
export async function noteDue(
  store: Store,
  tenant: string,
  shard: number,
  second: number,
): Promise<void> {
  try {
    await store.redis.zadd(store.keys.due, 'LT', second, `${tenant}.${shard}`)
  } catch {
    // The change is made all the same, and the sweep finds it.
  }
}

/**
 * Takes the notes of up to `limit` shards that have something due at `now` (NumericDate). A note is
 * gone before its shard is looked at, and a new one made after each commit, so none is lost to another pass.
 */
export async function takeDue(store: Store, now: number, limit: number): Promise<DueShard[]> {
  const { due } = store.keys
  try {
    const members = await store.redis.zrangebyscore(due, '-inf', now, 'LIMIT', 0, limit)
    if (members.length > 0) await store.redis.zrem(due, ...members)
    return members.map((member) => {
      const dot = member.lastIndexOf('.')
      return { tenant: member.slice(0, dot), shard: Number(member.slice(dot + 1)) }
    })
  } catch (error) {
    throw toStoreError(error)
  }
}
