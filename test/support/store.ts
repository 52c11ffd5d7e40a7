import { randomBytes } from 'node:crypto'
import { FeedStore } from '../../shared/store/feed-store.ts'
import type { StoredEntry } from '../../shared/store/rule-commit.ts'
import { RuleStore } from '../../shared/store/rule-store.ts'
import { ScheduleStore } from '../../shared/store/schedule-store.ts'
import { Store } from '../../shared/store/store.ts'
import { TokenStore, type WheelSettings } from '../../shared/store/token-store.ts'
import { deleteKeys, openRedis } from './redis.ts'

/** The engine of this run, or a plain error where a test was started without `npm test`. */
export function engineUrl(name: 'AMQP_URL' | 'REDIS_URL'): string {
  const url = process.env[name]
  if (url === undefined) throw new Error(`${name} is not set; run the tests with npm test.`)
  return url
}

/** A name nobody else uses, for everything one test makes. */
export function freshNamespace(): string {
  return `t-${randomBytes(5).toString('hex')}`
}

export interface TestStore {
  readonly store: Store
  readonly rules: RuleStore
  readonly schedules: ScheduleStore
  readonly tokens: TokenStore
  readonly feed: FeedStore
  /** Everything committed so far, in order. */
  readonly entries: StoredEntry[]
  /** The store's time of a tenant's shard 0, as a NumericDate. */
  now(tenant: string): Promise<number>
  /** Lets the clock of a tenant's shard 0 show a later time: it never goes back behind the last one recorded. */
  pass(tenant: string, seconds: number): Promise<void>
  close(): Promise<void>
}

/** A store of its own on the real Redis; `close` deletes its keys. */
export function openTestStore(
  options: {
    shards?: number
    url?: string
    namespace?: string
    settingsOf?: (tenant: string) => WheelSettings
  } = {},
): TestStore {
  const { shards = 4, url = engineUrl('REDIS_URL'), namespace = freshNamespace() } = options
  const redis = openRedis(url)
  const store = new Store(redis, { namespace, shards })
  const entries: StoredEntry[] = []
  const nowOf = async (tenant: string): Promise<number> =>
    Math.floor((await store.touch(tenant, 0)).at / 1000)
  const rules = new RuleStore(store, (committed) => entries.push(...committed))
  return {
    store,
    rules,
    schedules: new ScheduleStore(store, rules),
    tokens: new TokenStore(store, options.settingsOf),
    feed: new FeedStore(store, () => 86_400),
    entries,
    now: nowOf,
    async pass(tenant, seconds) {
      const { meta } = store.keys.shard(tenant, 0)
      await redis.hset(meta, 'now', ((await nowOf(tenant)) + seconds) * 1000)
      await store.touch(tenant, 0)
    },
    async close() {
      await deleteKeys(redis, `${namespace}:*`)
      store.close()
    },
  }
}
