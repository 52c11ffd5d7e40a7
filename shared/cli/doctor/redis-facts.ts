import type { RedisTarget } from '../../config/redis-url.ts'
import { createRedis } from '../../store/redis.ts'
import { keySpaceOf } from '../../store/keys.ts'
import type { RedisClient } from '../../store/store.ts'

/** What Redis tells of itself. */
export interface RedisFacts {
  /** The fields of `INFO`. */
  readonly info: ReadonlyMap<string, string>
  /** What `CONFIG GET` tells; empty where the user may not ask, as that of Knell's processes may not. */
  readonly config: ReadonlyMap<string, string>
  /** How far this host's clock is ahead of Redis's, in ms, and how far that may be off. */
  readonly skewMs: number
  readonly uncertainMs: number
  /** Round trips in ms. */
  readonly pings: readonly number[]
  /** What the store says of itself; undefined in a store that is new. */
  readonly shards: number | undefined
}

const PINGS = 21
/** Longer than the driver waits for one answer; then it is given up, however often it would try again. */
const READ_MS = 4500
const PATTERNS = [
  'appendfsync',
  'min-replicas-to-write',
  'hash-max-listpack-entries',
  'hash-max-listpack-value',
] as const

/** Asks Redis everything that the checks judge. @throws whatever the driver says where it cannot be asked */
export async function readRedis(target: RedisTarget, namespace: string): Promise<RedisFacts> {
  let problem: Error | undefined
  const redis = createRedis(target, (error) => {
    problem = error
  })
  const giveUp = setTimeout(() => redis.disconnect(), READ_MS)
  try {
    // The first answer says whether it can be asked at all; why not, only the connection knows.
    const info = toInfo(
      await redis.info().catch((error: Error) => Promise.reject(problem ?? error)),
    )
    const config = new Map<string, string>()
    for (const pattern of PATTERNS) {
      const pair = await configOf(redis, pattern)
      if (pair !== undefined) config.set(pattern, pair)
    }
    const pings: number[] = []
    let best = { skewMs: 0, uncertainMs: Infinity }
    for (let i = 0; i < PINGS; i++) {
      const sentAt = Date.now()
      const sent = performance.now()
      const [seconds = '0', micros = '0'] = (await redis.time()).map(String)
      const tripMs = performance.now() - sent
      pings.push(tripMs)
      const theirs = Number(seconds) * 1000 + Number(micros) / 1000
      if (tripMs / 2 < best.uncertainMs) {
        best = { skewMs: sentAt + tripMs / 2 - theirs, uncertainMs: tripMs / 2 }
      }
    }
    const shards = await redis.hget(keySpaceOf(namespace).facts, 'shards')
    return { info, config, ...best, pings, shards: shards === null ? undefined : Number(shards) }
  } finally {
    clearTimeout(giveUp)
    redis.disconnect()
  }
}

async function configOf(redis: RedisClient, name: string): Promise<string | undefined> {
  try {
    const found: unknown = await redis.config('GET', name)
    // A list of name and value, or a map, as RESP3 answers it.
    const value: unknown = Array.isArray(found)
      ? found[1]
      : (found as Record<string, unknown> | undefined)?.[name]
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

/** The lines `name:value` of `INFO`. */
export function toInfo(text: string): ReadonlyMap<string, string> {
  const pairs = [...text.matchAll(/^([a-z0-9_]+):(.*?)\r?$/gm)]
  return new Map(pairs.map(([, name = '', value = '']) => [name, value]))
}
