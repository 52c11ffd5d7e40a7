import { KnellError } from '../domain/errors.ts'
import type { FeedStore, TenantState } from './feed-store.ts'
import type { InstanceStore, Puller } from './instance-store.ts'
import { splitStoredRule } from './stored-rule.ts'
import type { Store } from './store.ts'

/** One rule of a snapshot, as the text it travels as. */
export interface SnapshotRule {
  readonly shard: number
  readonly epoch: string
  readonly seq: string
  readonly rule: string
}

const PAGE = 500

/**
 * All rules of a tenant, tombstones included, page by page. The tails are read first, so whatever
 * changes while the pages come lies after them in the feed. An epoch that changes meanwhile ends
 * the stream with `store_epoch_changed`: what was sent may be of two stores.
 */
export async function* readSnapshot(
  store: Store,
  tenant: string,
  state: TenantState,
): AsyncGenerator<SnapshotRule[]> {
  for (const [shard, tail] of state.tails.revocations.entries()) {
    const keys = store.keys.shard(tenant, shard)
    let cursor = '0'
    do {
      const [, epoch, next, ...rules] = await store.run(
        'snapshotPage',
        [keys.meta, keys.rules],
        [cursor, PAGE],
      )
      if (epoch !== tail.epoch) {
        throw new KnellError(
          'store_epoch_changed',
          'The store was restarted or failed over while the snapshot was read; ask again.',
        )
      }
      cursor = String(next)
      if (rules.length === 0) continue
      yield rules.map((text) => {
        const { epoch: writtenIn, seq, wire } = splitStoredRule(String(text))
        return { shard, epoch: writtenIn, seq, rule: wire }
      })
    } while (cursor !== '0')
  }
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
