import { KnellError } from '../domain/errors.ts'
import type { Log } from '../domain/position.ts'
import type { Store } from './store.ts'

/** The bodies of each shard's newest entries, up to `limit` of each. Plain reads. @throws KnellError `store_*` */
export async function newestEntries(
  store: Store,
  tenant: string,
  log: Log,
  limit: number,
): Promise<string[]> {
  const answers = await store.readAll(
    Array.from({ length: store.shards }, (_, shard): [string, ...string[]] => [
      'xrevrange',
      store.keys.shard(tenant, shard).feed[log],
      '+',
      '-',
      'COUNT',
      String(limit),
    ]),
  )
  if (answers.includes(undefined)) {
    throw new KnellError('store_unavailable', 'A part of the store did not answer.')
  }
  return (answers as [string, string[]][][]).flatMap((entries) =>
    entries.map(([, fields]) => String(fields[1])),
  )
}
