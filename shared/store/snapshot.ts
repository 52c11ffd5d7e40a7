import { KnellError } from '../domain/errors.ts'
import type { FeedStore, TenantState } from './feed-store.ts'
import type { InstanceStore, Puller } from './instance-store.ts'
import type { HashPage, Store } from './store.ts'

/** Some rules of a shard, each as the store keeps it. */
export interface SnapshotPage {
  readonly shard: number
  readonly rules: readonly string[]
}

/** The store reads so many in some 1.5 ms, in which it serves nobody else: about as long as it takes to drain a batch. */
const PAGE = 1000
/** Shards that are read at once: the store reads a page of one while that of another is made into lines. */
const AT_ONCE = 2

/**
 * All rules of a tenant, tombstones included, page by page. The tails are read first, so whatever
 * changes while the pages come lies after them in the feed. An epoch that changes meanwhile ends
 * the stream with `store_epoch_changed`: what was sent may be of two stores.
 */
export async function* readSnapshot(
  store: Store,
  tenant: string,
  state: TenantState,
): AsyncGenerator<SnapshotPage> {
  const tails = state.tails.revocations
  const read = (shard: number, cursor: string): Reading => {
    const keys = store.keys.shard(tenant, shard)
    const coming = store.scan(keys.meta, keys.rules, cursor, PAGE)
    // Nobody waits for it any more where the reader has gone meanwhile.
    coming.catch(() => {})
    return { shard, coming }
  }
  const readings: Reading[] = []
  let next = 0
  while (next < Math.min(AT_ONCE, tails.length)) readings.push(read(next++, '0'))
  for (let first = readings.shift(); first !== undefined; first = readings.shift()) {
    const { shard } = first
    const { epoch, cursor, fields } = await first.coming
    if (epoch !== tails[shard]?.epoch) {
      throw new KnellError(
        'store_epoch_changed',
        'The store was restarted or failed over while the snapshot was read; ask again.',
      )
    }
    // The store reads on while this page is on its way to whoever asked.
    if (cursor !== '0') readings.push(read(shard, cursor))
    else if (next < tails.length) readings.push(read(next++, '0'))
    const rules = fields.filter((_, i) => i % 2 === 1)
    if (rules.length > 0) yield { shard, rules }
  }
}

interface Reading {
  readonly shard: number
  readonly coming: Promise<HashPage>
}

/** Records the instance, then reads the tails: joining is a write, so that a waiter's live set cannot miss it. */
export async function joinInstance(
  instances: InstanceStore,
  feed: FeedStore,
  tenant: string,
  puller: Puller | undefined,
): Promise<TenantState> {
  if (puller !== undefined) await instances.join(tenant, puller)
  return feed.state(tenant)
}
