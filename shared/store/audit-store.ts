import type { AuditPlace } from './audit-record-reader.ts'
import type { Store } from './store.ts'
import { toStoreError } from './store-error.ts'

/** The newest records of each kind of what callers can cause without limit, per tenant. */
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

/** Which stream a record goes to: changes, what was refused, or bulk registrations. All but the first are bounded. */
export type AuditStream = 'audit' | 'traffic' | 'bulk'

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
    const bound = stream === 'audit' ? ([] as const) : (['MAXLEN', '~', MAX_TRAFFIC] as const)
    try {
      await redis.xadd(key, ...bound, '*', 'a', act, 'r', result)
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /** Appends a login or logout, apart from all else: whoever has a key for the dashboard may log in as often as it likes. @throws KnellError `store_*` */
  async appendLogin(act: string, result: string): Promise<void> {
    const { keys, redis } = this.#store
    try {
      await redis.xadd(keys.logins, 'MAXLEN', '~', MAX_TRAFFIC, '*', 'a', act, 'r', result)
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
    // What is bounded where it is written only needs a bound above that one here.
    const most = stream === 'audit' ? keep : 2 * MAX_TRAFFIC
    const args = [days * DAY_MS, most, TRIM_BATCH]
    const [old, cut] = await this.#store.run('trimAudit', [keys.meta, keys[stream]], args)
    return { old: Number(old), cut: Number(cut) }
  }

  /** The same for what concerns no single tenant. `now`: the store's, in ms. @throws KnellError `store_*` */
  async trimOwn(now: number, days: number, keep: number): Promise<Trimmed> {
    const { keys, redis } = this.#store
    try {
      let old = 0
      for (const key of [keys.audit, keys.traffic, keys.bulk, keys.logins]) {
        old += await redis.xtrim(key, 'MINID', Math.max(0, now - days * DAY_MS))
      }
      const [cut] = await this.#store.run('cutAudit', [keys.audit, keys.auditCut], [keep])
      return { old, cut: Number(cut) }
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /** Before this time (ms) records of changes may be gone for room, with `own` also what concerns no single tenant; undefined where none had to go. */
  async cutAt(tenants: readonly string[], own: boolean): Promise<number | undefined> {
    const { keys, shards } = this.#store
    const commands = tenants.flatMap((tenant) =>
      Array.from({ length: shards }, (_, shard): [string, ...string[]] => [
        'hget',
        keys.shard(tenant, shard).meta,
        'auditcut',
      ]),
    )
    const found = await this.#store.readAll(own ? [...commands, ['get', keys.auditCut]] : commands)
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
      { tenant, label: 'b', key: keys.shard(tenant, 0).bulk },
    ])
    if (!own) return places
    return [
      ...places,
      { tenant: null, label: 's', key: keys.audit },
      { tenant: null, label: 't', key: keys.traffic },
      { tenant: null, label: 'b', key: keys.bulk },
      { tenant: null, label: 'l', key: keys.logins },
    ]
  }
}
