import type { AuditPlace } from './audit-record-reader.ts'
import type { Store } from './store.ts'
import { toStoreError } from './store-error.ts'

/** The newest records of what callers can cause without limit, per tenant. */
const MAX_TRAFFIC = 10_000

/** So much goes by one script, in whole nodes of a stream. */
const TRIM_BATCH = 10_000
const DAY_MS = 86_400_000

export interface Trimmed {
  /** Past their days. */
  readonly old: number
  /** For room, though younger. */
  readonly cut: number
}

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

  /** Drops what is older than `days`, and of a shard's changes the oldest past `keep`: one batch. @throws KnellError `store_*` */
  async trim(
    stream: AuditStream,
    tenant: string,
    shard: number,
    days: number,
    keep: number,
  ): Promise<Trimmed> {
    const keys = this.#store.keys.shard(tenant, shard)
    // Traffic is bounded where it is written, so this bound only has to be above that one.
    const most = stream === 'traffic' ? 2 * MAX_TRAFFIC : keep
    const args = [days * DAY_MS, most, TRIM_BATCH]
    const [old, cut] = await this.#store.run('trimAudit', [keys.meta, keys[stream]], args)
    return { old: Number(old), cut: Number(cut) }
  }

  /** The same for what concerns no single tenant. `now`: the store's, in ms. @throws KnellError `store_*` */
  async trimOwn(now: number, days: number, keep: number): Promise<Trimmed> {
    const { keys, redis } = this.#store
    try {
      let old = 0
      for (const key of [keys.audit, keys.traffic]) {
        old += await redis.xtrim(key, 'MINID', Math.max(0, now - days * DAY_MS))
      }
      return { old, cut: await redis.xtrim(keys.audit, 'MAXLEN', '~', keep) }
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /** Before this time (ms) records of changes may be gone for room; undefined where none had to go. */
  async cutAt(tenants: readonly string[]): Promise<number | undefined> {
    const { keys, shards } = this.#store
    const found = await this.#store.readAll(
      tenants.flatMap((tenant) =>
        Array.from({ length: shards }, (_, shard): [string, ...string[]] => [
          'hget',
          keys.shard(tenant, shard).meta,
          'auditcut',
        ]),
      ),
    )
    const times = found.flatMap((id) => (typeof id === 'string' ? [parseInt(id, 10)] : []))
    return times.length > 0 ? Math.max(...times) : undefined
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
