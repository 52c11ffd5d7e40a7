import type { AuditPlace } from './audit-record-reader.ts'
import type { Store } from './store.ts'
import { toStoreError } from './store-error.ts'

/** The newest records of what callers can cause without limit, per tenant. */
const MAX_TRAFFIC = 10_000

/** Which of the two kinds of stream a record goes to. */
export type AuditStream = 'audit' | 'traffic'

/** The audit trail of what no commit script writes, and where all of it lies. */
export class AuditStore {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /** Appends what was done, or refused. `tenant` null: it concerns no single one. @throws KnellError `store_*` */
  async append(
    stream: AuditStream,
    tenant: string | null,
    act: string,
    result: string,
  ): Promise<void> {
    const { keys, redis } = this.#store
    const key = (tenant === null ? keys : keys.shard(tenant, 0))[stream]
    const bound = stream === 'traffic' ? (['MAXLEN', '~', MAX_TRAFFIC] as const) : ([] as const)
    try {
      await redis.xadd(key, ...bound, '*', 'a', act, 'r', result)
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /** Every place of these tenants, and with `own` of what concerns none. */
  places(tenants: readonly string[], own: boolean): AuditPlace[] {
    const { keys, shards } = this.#store
    const places = tenants.flatMap((tenant): AuditPlace[] => [
      ...Array.from({ length: shards }, (_, shard) => ({
        tenant,
        label: String(shard),
        key: keys.shard(tenant, shard).audit,
      })),
      { tenant, label: 't', key: keys.shard(tenant, 0).traffic },
    ])
    if (!own) return places
    return [
      ...places,
      { tenant: null, label: 's', key: keys.audit },
      { tenant: null, label: 't', key: keys.traffic },
    ]
  }
}
