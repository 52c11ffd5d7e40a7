import { bullQueueNames } from '../../domain/names.ts'
import { logs } from '../../domain/position.ts'
import { keySpaceOf, type KeySpace } from '../../store/keys.ts'
import type { RedisClient } from '../../store/store.ts'
import { SHARDS, TENANTS, type Stage } from './stage.ts'

/** What BullMQ keeps of its own for a queue: a few lists and counters, besides its jobs. */
const BULL_MOST = 16
/** The last jobs of a queue are kept to be looked at, so many that ended well and so many that did not. */
const JOBS_MOST = 1000

/** The keys that stay however long the system runs; every other one must end by itself. */
function lastingKeys(keys: KeySpace, services: readonly string[]): Set<string> {
  const names = new Set([keys.facts, keys.due, keys.sweeps, keys.sweepsBegun])
  for (const name of [keys.audit, keys.traffic, keys.bulk, keys.logins, keys.auditCut]) {
    names.add(name)
  }
  for (const tenant of TENANTS) {
    for (let shard = 0; shard < SHARDS; shard++) {
      const own = keys.shard(tenant, shard)
      for (const value of Object.values(own)) if (typeof value === 'string') names.add(value)
      for (const log of logs) {
        names.add(own.feed[log])
        names.add(own.unsent[log])
        for (const service of services) {
          names.add(own.handled(service, log))
          names.add(own.holes(service, log))
        }
      }
      for (const service of services) names.add(own.marks(service))
    }
  }
  return names
}

/** Keys that nothing explains, as sentences: they belong to no fixed place and have no end of life. */
export async function keysLeft({ engines, cast }: Stage, redis: RedisClient): Promise<string[]> {
  const keys = keySpaceOf(engines.namespace)
  const lasting = lastingKeys(keys, cast.services)
  const others = (await redis.keys('*')).filter((name) => !lasting.has(name))
  const ends = await Promise.all(others.map((name) => redis.pttl(name)))
  const endless = others.filter((_, i) => ends[i] === -1)
  const strange = endless.filter((name) => !name.startsWith(`${keys.bull}:`))
  const found: string[] = []
  if (strange.length > 0) {
    found.push(`${strange.length} keys have no end: ${strange.slice(0, 10).join(' ')}`)
  }
  for (const queue of Object.values(bullQueueNames)) {
    found.push(...(await jobsLeft(redis, `${keys.bull}:${queue}:`, endless)))
  }
  return found
}

/** A job that is in no list any more, and a list without an end, would both grow for ever. */
async function jobsLeft(
  redis: RedisClient,
  prefix: string,
  endless: readonly string[],
): Promise<string[]> {
  const all = endless.filter((name) => name.startsWith(prefix))
  const jobs = all.filter((name) => /^(?:second|sweep)-/.test(name.slice(prefix.length)))
  const ended = await Promise.all(
    ['completed', 'failed'].map((list) => redis.zcard(`${prefix}${list}`)),
  )
  const open = await Promise.all(['wait', 'active'].map((list) => redis.llen(`${prefix}${list}`)))
  const listed = [...ended, ...open].reduce((sum, count) => sum + count, 0)
  const found: string[] = []
  if (jobs.length > listed)
    found.push(`${jobs.length} jobs of ${prefix} but ${listed} in its lists.`)
  if (Math.max(...ended) > JOBS_MOST) found.push(`${prefix} keeps ${ended.join(' and ')} jobs.`)
  if (all.length - jobs.length > BULL_MOST) {
    found.push(`${prefix} has ${all.length - jobs.length} keys besides its jobs.`)
  }
  return found
}
