import type { Tail } from '../domain/beat.ts'
import type { Store } from './store.ts'

/** The tails of a tenant's revocations, by plain reads. @throws KnellError `store_*` */
export async function readTails(store: Store, tenant: string): Promise<Tail[]> {
  const metas = await store.readAll(
    Array.from({ length: store.shards }, (_, shard): [string, ...string[]] => [
      'hmget',
      store.keys.shard(tenant, shard).meta,
      'term',
      'rand',
      'rev',
    ]),
  )
  return metas.map((meta) => {
    const [term, rand, rev] = (meta ?? []) as (string | null)[]
    return { epoch: `${term ?? '0'}.${rand ?? ''}`, seq: Number(rev ?? 0) }
  })
}
