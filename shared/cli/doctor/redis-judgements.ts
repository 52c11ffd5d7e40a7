import { failure, ok, warning, type Finding } from './finding.ts'
import type { RedisFacts } from './redis-facts.ts'

/** The numbers at which a judgement of Redis changes. */
const REDIS_LIMITS = {
  version: 7,
  skewWarningMs: 1000,
  skewFailureMs: 10_000,
  latencyWarningMs: 5,
  latencyFailureMs: 100,
  memoryWarning: 0.7,
  /** Above it tokens are no longer registered. */
  memoryFailure: 0.8,
  listpackEntries: 500,
  listpackValue: 128,
} as const

type Judge = (facts: RedisFacts) => Finding

const field = ({ info }: RedisFacts, name: string): string => info.get(name) ?? ''
const number = (facts: RedisFacts, name: string): number => Number(field(facts, name) || 0)

export const judgeRedisVersion: Judge = (facts) => {
  const version = field(facts, 'redis_version')
  const [major = 0] = version.split('.').map(Number)
  return major >= REDIS_LIMITS.version
    ? ok(`Redis ${version}`)
    : failure(`Redis ${version || 'of an unknown version'}`, 'Use Redis 7.0 or newer.')
}

export const judgePolicy: Judge = (facts) => {
  const policy = field(facts, 'maxmemory_policy')
  return policy === 'noeviction'
    ? ok(policy)
    : failure(`${policy}: Redis may delete revocations`, 'Set maxmemory-policy noeviction.')
}

export const judgePersistence: Judge = (facts) => {
  if (field(facts, 'aof_enabled') !== '1') {
    return failure(
      'the append-only file is off: a restart loses what was acknowledged',
      'Set appendonly yes.',
    )
  }
  const wrote = field(facts, 'aof_last_write_status')
  if (wrote !== 'ok') {
    return failure(`the append-only file cannot be written (${wrote})`, 'Make room on its disk.')
  }
  const fsync = facts.config.get('appendfsync')
  if (fsync === undefined) return ok('append-only file; appendfsync is not told to this user')
  if (fsync === 'always') return ok('append-only file, appendfsync always')
  return fsync === 'everysec'
    ? ok('append-only file, appendfsync everysec: a crash of the machine may lose a second')
    : warning(`appendfsync ${fsync}: a crash may lose much`, 'Set appendfsync everysec or always.')
}

export const judgeMemory: Judge = (facts) => {
  const [used, most] = [number(facts, 'used_memory'), number(facts, 'maxmemory')]
  if (most === 0) {
    return warning(
      'maxmemory is not set, so nothing is kept for revocations',
      'Set maxmemory; above 80 % of it only revocations are taken.',
    )
  }
  const share = used / most
  const found = `${Math.round(share * 100)} % of maxmemory used`
  if (share > REDIS_LIMITS.memoryFailure) {
    return failure(`${found}: tokens are no longer registered`, 'Raise maxmemory.')
  }
  return share > REDIS_LIMITS.memoryWarning ? warning(found, 'Raise maxmemory soon.') : ok(found)
}

export const judgeReplication: Judge = (facts) => {
  if (field(facts, 'role') !== 'master') {
    return failure('it is a replica, which takes no writes', 'Name the primary in REDIS_URL.')
  }
  const replicas = number(facts, 'connected_slaves')
  if (replicas === 0) return ok('a primary without replicas')
  const least = facts.config.get('min-replicas-to-write')
  if (least === undefined) return ok(`${replicas} replicas; min-replicas-to-write is not told`)
  return least === '0'
    ? warning(
        `${replicas} replicas, but min-replicas-to-write is 0: a fail-over may lose what was acknowledged`,
        'Set min-replicas-to-write 1 and min-replicas-max-lag.',
      )
    : ok(`${replicas} replicas, min-replicas-to-write ${least}`)
}

export const judgeSkew: Judge = ({ skewMs, uncertainMs }) => {
  const off = Math.abs(skewMs)
  const found = `this host is ${off < 1 ? 'less than 1' : Math.round(off)} ms ${skewMs < 0 ? 'behind' : 'ahead'} (give or take ${Math.ceil(uncertainMs)})`
  const fix = 'Give this host and that of Redis NTP: exp is judged by the store’s clock.'
  // What may be the network's doing is no skew.
  const sure = off - uncertainMs
  if (sure >= REDIS_LIMITS.skewFailureMs) return failure(found, fix)
  return sure >= REDIS_LIMITS.skewWarningMs ? warning(found, fix) : ok(found)
}

export const judgeLatency: Judge = ({ pings }) => {
  const median = medianOf(pings)
  const found = `${median < 10 ? median.toFixed(1) : Math.round(median)} ms, the median of ${pings.length}`
  const fix = 'Bring the processes nearer to Redis, or find out what keeps it busy.'
  if (median >= REDIS_LIMITS.latencyFailureMs) return failure(found, fix)
  return median >= REDIS_LIMITS.latencyWarningMs ? warning(found, fix) : ok(found)
}

export const judgeListpack: Judge = ({ config }) => {
  const entries = config.get('hash-max-listpack-entries')
  const value = config.get('hash-max-listpack-value')
  if (entries === undefined || value === undefined) return ok('not told to this user')
  const found = `hash-max-listpack-entries ${entries}, hash-max-listpack-value ${value}`
  const isEnough =
    Number(entries) >= REDIS_LIMITS.listpackEntries && Number(value) >= REDIS_LIMITS.listpackValue
  return isEnough
    ? ok(found)
    : warning(found, 'Set them to 500 and 128: tokens take much less memory.')
}

/** @param wanted what SHARDS says */
export function judgeShards({ shards }: RedisFacts, wanted: number): Finding {
  if (shards === undefined) return ok('a new store')
  return shards === wanted
    ? ok(`${shards} shards`)
    : failure(
        `the store was made with ${shards} shards, but SHARDS is ${wanted}`,
        `Set SHARDS=${shards}; the count is fixed at first start.`,
      )
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
