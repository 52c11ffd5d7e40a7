import type { Store } from './store.ts'
import { thisMoment } from '../process/this-moment.ts'

/** How many tokens are due, minute by minute. */
export interface DueCounts {
  /** The store's time, in ms. */
  readonly at: number
  /** The tokens due in each of the next 60 minutes: announced as expired, or before that as expiring. */
  readonly minutes: readonly number[]
  /** Those whose second has passed and that nobody has announced yet. */
  readonly overdue: number
  /** False where a part was not counted; then there are at least so many. */
  readonly complete: boolean
}

const MINUTES = 60
/** So many overdue seconds of a shard are counted; more of them are there only after a long outage. */
const MAX_OVERDUE = 3600

/** Counts by the lengths of the wheel's seconds, which costs the same however many tokens lie in them. */
export async function countDue(store: Store, tenant: string): Promise<DueCounts> {
  const now = Math.floor((await store.now(tenant)) / 1000)
  const shards = Array.from({ length: store.shards }, (_, shard) => store.keys.shard(tenant, shard))
  const last = now + MINUTES * 60
  const most = String(MAX_OVERDUE + MINUTES * 60)
  const found = await store.readAll(
    shards.map(({ wheel }) => ['zrangebyscore', wheel, '-inf', `(${last}`, 'LIMIT', '0', most]),
  )
  let complete = true
  const seconds: number[] = []
  const asked: [string, string][] = []
  for (const [i, keys] of shards.entries()) {
    const list = found[i]
    if (!Array.isArray(list) || list.length === Number(most)) complete = false
    for (const second of Array.isArray(list) ? list.map(Number) : []) {
      seconds.push(second)
      asked.push(['hlen', keys.second(second)])
    }
  }
  const lengths = asked.length === 0 ? [] : await store.readAll(asked)
  const minutes = Array.from({ length: MINUTES }, () => 0)
  let overdue = 0
  for (const [i, at] of seconds.entries()) {
    const length = lengths[i]
    if (typeof length !== 'number') complete = false
    else if (at <= now) overdue += length
    else {
      const minute = Math.floor((at - now - 1) / 60)
      minutes[minute] = (minutes[minute] ?? 0) + length
    }
  }
  return { at: Math.floor(store.clock.earliest(thisMoment())), minutes, overdue, complete }
}
