import { Cluster } from 'ioredis'
import { toStoreError } from './store-error.ts'
import type { Store } from './store.ts'

/** What Redis says of itself; of a cluster, all primaries together. */
export interface StoreHealth {
  readonly version: string
  /** The first `maxmemory-policy` that is not `noeviction`, else that. */
  readonly policy: string
  /** Whether every primary writes an append-only file. */
  readonly isPersistent: boolean
  /** Whether the last write to it succeeded everywhere. */
  readonly isWritten: boolean
  readonly usedBytes: number
  /** 0 where some primary has no limit. */
  readonly maxBytes: number
}

/** @throws KnellError `store_*` */
export async function readStoreHealth({ redis }: Store): Promise<StoreHealth> {
  const primaries = redis instanceof Cluster ? redis.nodes('master') : [redis]
  let infos: string[]
  try {
    infos = await Promise.all(primaries.map((primary) => primary.info()))
  } catch (error) {
    throw toStoreError(error)
  }
  // A cluster client that knows no node yet has asked nobody.
  if (infos.length === 0) throw toStoreError(new Error('No primary is known.'))
  const all = (name: string): string[] => infos.map((info) => fieldOf(info, name))
  const limits = all('maxmemory').map(Number)
  return {
    version: all('redis_version')[0] ?? '',
    policy: all('maxmemory_policy').find((policy) => policy !== 'noeviction') ?? 'noeviction',
    isPersistent: all('aof_enabled').every((value) => value === '1'),
    isWritten: all('aof_last_write_status').every((value) => value === 'ok'),
    usedBytes: sum(all('used_memory').map(Number)),
    maxBytes: limits.includes(0) ? 0 : sum(limits),
  }
}

function fieldOf(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? ''
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
