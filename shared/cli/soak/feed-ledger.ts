import { parseEntry, type ExpiryEntry } from '../../domain/entry.ts'
import { parseRedisUrl } from '../../config/redis-url.ts'
import { keySpaceOf } from '../../store/keys.ts'
import { createRedis } from '../../store/redis.ts'
import type { RedisClient } from '../../store/store.ts'
import type { SoakEngines } from './engines.ts'
import { SHARDS, TENANTS } from './stage.ts'

const EVERY_MS = 1000
const PER_READ = 1000

/** Reads the feeds of expiries out of the store itself, as they grow, before anything is trimmed from them. */
export class FeedLedger {
  readonly entries: ExpiryEntry[] = []
  readonly redis: RedisClient
  readonly #streams: readonly string[]
  readonly #last = new Map<string, string>()
  #timer: NodeJS.Timeout | undefined
  #reading: Promise<void> = Promise.resolve()

  constructor({ redisUrl, namespace }: SoakEngines) {
    this.redis = createRedis(parseRedisUrl(redisUrl), () => {})
    const keys = keySpaceOf(namespace)
    this.#streams = TENANTS.flatMap((tenant) =>
      Array.from({ length: SHARDS }, (_, shard) => keys.shard(tenant, shard).feed.expiries),
    )
  }

  start(): void {
    this.#timer = setInterval(() => void this.read(), EVERY_MS)
  }

  /** Reads what is new. Fails in silence while the store is away: it is read again. */
  read(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#readAll()).catch(() => {})
    return this.#reading
  }

  async #readAll(): Promise<void> {
    for (const stream of this.#streams) {
      for (;;) {
        const after = `(${this.#last.get(stream) ?? '0-0'}`
        const found = await this.redis.xrange(stream, after, '+', 'COUNT', PER_READ)
        for (const [id, fields] of found) {
          this.#last.set(stream, id)
          const body = JSON.parse(fields[fields.indexOf('b') + 1] ?? '') as unknown
          this.entries.push(parseEntry(body) as ExpiryEntry)
        }
        if (found.length < PER_READ) break
      }
    }
  }

  close(): void {
    clearInterval(this.#timer)
    this.redis.disconnect()
  }
}
