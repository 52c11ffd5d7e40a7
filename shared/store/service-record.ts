import { isRecord, logOf, type Kind } from '../domain/entry.ts'
import { logs, type Log } from '../domain/position.ts'
import { fromStore } from './stored-json.ts'

/** The short name of a log in scripts. */
export function shortOf(log: Log): 'rev' | 'exp' {
  return log === 'revocations' ? 'rev' : 'exp'
}

/** A service with handlers, as shard 0 keeps it. */
export interface ServiceRecord {
  readonly service: string
  /** Tells this registration from one before a removal. */
  readonly id: string
  readonly attempts: number
  readonly version: number
  /** The version of its kinds that all shards know; 0 before the first time. */
  readonly synced: number
  readonly kinds: Readonly<Partial<Record<Kind, string>>>
  readonly removed?: boolean
}

export function kindsIn(record: ServiceRecord): Kind[] {
  return Object.keys(record.kinds) as Kind[]
}

/** The logs in which a service has kinds to handle. */
export function logsIn(record: ServiceRecord): Log[] {
  return logs.filter((log) => kindsIn(record).some((kind) => logOf(kind) === log))
}

/** @throws KnellError `store_corrupt` */
export function recordOf(service: string, text: string): ServiceRecord {
  return fromStore(() => {
    const record: unknown = JSON.parse(text)
    if (!isRecord(record) || !isRecord(record['kinds'])) throw new TypeError('No service.')
    return { service, ...(record as unknown as Omit<ServiceRecord, 'service'>) }
  })
}
