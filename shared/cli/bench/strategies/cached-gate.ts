import { Redis } from 'ioredis'
import { LRUCache } from 'lru-cache'
import { jtiOf } from '../tokens.ts'
import type { Gate, OpenGate, Verified } from './gate.ts'
import { revokedKey } from './revoked-key.ts'
import { createAdmit } from './verify.ts'

/** More than one instance serves at a time; past it the least used are forgotten, and asked about again. */
const MAX_ENTRIES = 1_000_000

/**
 * The same list with a cache before it. It remembers what Redis has said of a token for a while, and
 * callers that miss the same token share one question. "Not revoked" is remembered as well: nothing
 * else would save a question, since nearly all tokens are good.
 */
export const openCachedGate: OpenGate = async (options): Promise<Gate> => {
  const redis = new Redis(options.redisUrl, { enableAutoPipelining: true })
  await redis.ping()
  let calls = 0
  /** While set, what the cache takes for the time: ms. */
  let pretended: number | undefined
  const cache = new LRUCache<string, boolean>({
    max: MAX_ENTRIES,
    ttl: options.cacheMs,
    // A clock that is read once a ms would stand still while time is pretended.
    ttlResolution: 0,
    perf: { now: () => pretended ?? performance.now() },
    async fetchMethod(jti) {
      calls += 1
      return (await redis.exists(revokedKey(options.namespace, jti))) === 0
    },
  })
  const remembered = (jti: string): boolean | Promise<boolean> =>
    cache.get(jti) ?? cache.fetch(jti).then((isGood) => isGood === true)
  const ask = ({ claims }: Verified): boolean | Promise<boolean> => {
    if (pretended !== undefined) pretended += options.everyMs / options.sessions
    return remembered(String(claims['jti']))
  }
  return {
    ask,
    admit: createAdmit(options, ask),
    calls: () => calls,
    pace(isPaced) {
      // What was remembered by one clock means nothing by the other.
      cache.clear()
      pretended = isPaced ? performance.now() : undefined
    },
    fill(count) {
      for (let i = 0; i < count; i++) cache.set(jtiOf(i), true)
    },
    close: () => redis.disconnect(),
  }
}
