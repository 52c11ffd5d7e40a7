import { randomBytes } from 'node:crypto'
import { logOf, type Kind } from '../domain/entry.ts'
import { KnellError } from '../domain/errors.ts'
import type { Handled } from '../domain/handled.ts'
import {
  comparePositions,
  logs,
  parsePosition,
  termOf,
  type Log,
  type Position,
} from '../domain/position.ts'
import type { ShardKeys } from './keys.ts'
import { kindsIn, logsIn, recordOf, shortOf, type ServiceRecord } from './service-record.ts'
import type { Store } from './store.ts'

/** A kind that no instance has named for this long, while others were, is no longer owed: in a rolling deployment both sets are named. */
const LINGER_MS = 300_000
const RENEW_MS = 10_000
const MAX_SERVICES = 256
/** The most records of entries past the mark that a shard and log keep for a service. */
const MAX_RECORDS = 50_000
const REPORT_BATCH = 1000

/** How far one log and shard is handled. */
export interface Mark {
  readonly log: Log
  readonly shard: number
  /** Everything up to here is done, or was never owed. */
  readonly mark: Position
  /** Everything up to here has been judged by a sweep; what is open of it are holes. */
  readonly judged: Position
  /** Entries up to there that are neither handled nor dead-lettered. */
  readonly open: number
}

export interface ServiceState {
  readonly service: string
  readonly kinds: readonly Kind[]
  readonly maxAttempts: number
  readonly marks: readonly Mark[]
}

/** Where one service stands in one log of a shard. */
export interface LogState {
  readonly id: string
  readonly mark: string
  /** The time (ms) of the newest entry that its handlers are done with. */
  readonly doneAt: number
  readonly holes: number
  /** When (ms) the next hole is due. */
  readonly nextDue: number | undefined
}

export interface ShardState {
  readonly at: number
  readonly tails: Readonly<Record<Log, string>>
  /** By service, in the order asked for. */
  readonly services: readonly Readonly<Record<Log, LogState>>[]
}

/** The services with handlers: what they are owed and what they report. What follows from it is the sweep's, in `HoleStore`. */
export class HandlerStore {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /**
   * Makes a service exist, or renews what it handles; may be called with every ack. Nothing that was
   * committed before the first call is owed to it, everything after is. `known`: what the caller
   * reports; where it speaks of a lower term than the store's, the store was emptied under a living
   * service, and all of the new term is owed.
   * @throws KnellError `too_many_services`
   */
  async register(
    tenant: string,
    service: string,
    kinds: readonly Kind[],
    maxAttempts: number,
    known: readonly Handled[] = [],
  ): Promise<void> {
    const { meta, services } = this.#store.keys.shard(tenant, 0)
    const fresh = randomBytes(8).toString('hex')
    const [word, text] = await this.#store.run(
      'registerService',
      [meta, services],
      [service, fresh, maxAttempts, LINGER_MS, MAX_SERVICES, RENEW_MS, ...kinds],
    )
    if (word !== 'ok') {
      throw new KnellError(
        'too_many_services',
        `The tenant ${tenant} has ${MAX_SERVICES} services with handlers; remove those that are gone.`,
      )
    }
    await this.sync(tenant, recordOf(service, String(text)), known)
  }

  /** Lets all shards take over what a service handles, where they have not yet. */
  async sync(tenant: string, record: ServiceRecord, known: readonly Handled[] = []): Promise<void> {
    const { service, id, version, synced } = record
    if (synced >= version) return
    await this.#eachShard(async (shard) => {
      const terms = known.flatMap((part) => (part.shard === shard ? [termOf(part.epoch) ?? 0] : []))
      await this.#syncShard(tenant, shard, record, synced > 0, Math.min(...terms, Infinity))
    })
    const { meta, services } = this.#store.keys.shard(tenant, 0)
    await this.#store.run('syncedService', [meta, services], [service, id, version])
  }

  /** Gives a shard that has lost its marks of a service new ones: all that is left in the feed is owed. */
  async resync(tenant: string, shard: number, record: ServiceRecord): Promise<void> {
    await this.#syncShard(tenant, shard, record, true, Infinity)
  }

  async #syncShard(
    tenant: string,
    shard: number,
    record: ServiceRecord,
    had: boolean,
    knownTerm: number,
  ): Promise<void> {
    await this.#store.run('syncMarks', keysOf(this.#store.keys.shard(tenant, shard), record), [
      record.id,
      record.version,
      had ? 1 : 0,
      Number.isFinite(knownTerm) ? knownTerm : 0,
      ...kindsIn(record).map((kind) => `${shortOf(logOf(kind))}:${kind}`),
    ])
  }

  /**
   * Merges what an instance reports; repeats and any order have the same effect. Returns whether
   * the service is known in all shards it speaks of, and how many entries found no room: they count
   * as not handled.
   */
  async report(
    tenant: string,
    service: string,
    handled: readonly Handled[],
  ): Promise<{ known: boolean; ignored: number }> {
    let known = true
    let ignored = 0
    for (const { log, shard, epoch, done, retrying } of handled) {
      if (shard >= this.#store.shards) continue
      const keys = this.#store.keys.shard(tenant, shard)
      const names = [
        keys.meta,
        keys.marks(service),
        keys.feed[log],
        keys.handled(service, log),
        keys.holes(service, log),
      ]
      const all: (readonly [number, string | number])[] = [
        ...[...done].map(([seq, indexes]) => [seq, indexes.join(',') || '*'] as const),
        ...retrying,
      ]
      for (let from = 0; from < all.length; from += REPORT_BATCH) {
        const batch = all.slice(from, from + REPORT_BATCH)
        const doneCount = Math.max(0, Math.min(batch.length, done.size - from))
        const [word, left] = await this.#store.run('reportHandled', names, [
          shortOf(log),
          ...epoch.split('.'),
          MAX_RECORDS,
          doneCount,
          ...batch.flat(),
        ])
        if (word === 'unknown') known = false
        ignored += Number(left)
      }
    }
    return { known, ignored }
  }

  /** Ends a service: nothing is owed to it any more. One that still reports what it handles exists anew. Returns whether it existed. */
  async remove(tenant: string, service: string): Promise<boolean> {
    const { meta, services } = this.#store.keys.shard(tenant, 0)
    const [found] = await this.#store.run('endService', [meta, services], [service])
    const id = String(found ?? '')
    if (id === '') return false
    await this.#eachShard(async (shard) => {
      const keys = keysOf(this.#store.keys.shard(tenant, shard), { service })
      await this.#store.run('dropMarks', keys, [id])
    })
    await this.#store.run('forgetService', [meta, services], [service, id])
    return true
  }

  /** The services of a tenant, those under removal included. */
  async list(tenant: string): Promise<ServiceRecord[]> {
    const key = this.#store.keys.shard(tenant, 0).services
    const found = await this.#store.ask((redis) => redis.hgetall(key))
    return Object.entries(found).map(([service, text]) => recordOf(service, text))
  }

  /** The services of these tenants that have handlers, each named once. Plain reads. @throws KnellError `store_*` */
  async names(tenants: readonly string[]): Promise<string[]> {
    const found = await this.#store.readAll(
      tenants.map((tenant) => ['hkeys', this.#store.keys.shard(tenant, 0).services]),
    )
    return [...new Set(found.flatMap((names) => (Array.isArray(names) ? names.map(String) : [])))]
  }

  /** How far services are in one shard, in one call. */
  async state(
    tenant: string,
    shard: number,
    records: readonly ServiceRecord[],
  ): Promise<ShardState> {
    const keys = this.#store.keys.shard(tenant, shard)
    const names = records.flatMap(({ service }) => [
      keys.marks(service),
      ...logs.map((log) => keys.holes(service, log)),
    ])
    const [at, ...rest] = await this.#store.run('handlerState', [keys.meta, ...names])
    const stateAt = (index: number): LogState => {
      const [id, mark, doneAt, holes, next] = rest.slice(index * 5, index * 5 + 5)
      return {
        id: String(id),
        mark: String(mark),
        doneAt: Number(doneAt),
        holes: Number(holes),
        nextDue: next === '' ? undefined : Number(next),
      }
    }
    return {
      at: Number(at),
      tails: { revocations: String(rest.at(-2)), expiries: String(rest.at(-1)) },
      services: records.map((_, i) => ({
        revocations: stateAt(2 * i),
        expiries: stateAt(2 * i + 1),
      })),
    }
  }

  /** All services of a tenant, with how far they are. */
  async services(tenant: string): Promise<ServiceState[]> {
    const records = (await this.list(tenant)).filter(({ removed }) => removed !== true)
    if (records.length === 0) return []
    const states = await this.#eachShard((shard) => this.state(tenant, shard, records))
    return Promise.all(
      records.map(async (record, i) => ({
        service: record.service,
        kinds: kindsIn(record),
        maxAttempts: record.attempts,
        marks: await this.#marksOf(tenant, record, states, i),
      })),
    )
  }

  async #marksOf(
    tenant: string,
    record: ServiceRecord,
    states: readonly ShardState[],
    index: number,
  ): Promise<Mark[]> {
    const followed = logsIn(record)
    const marks: Mark[] = []
    for (const [shard, state] of states.entries()) {
      for (const log of followed) {
        const found = state.services[index]?.[log]
        if (found === undefined || found.mark === '') continue
        const judged = parsePosition(found.mark)
        const holes = this.#store.keys.shard(tenant, shard).holes(record.service, log)
        const open =
          found.holes === 0
            ? []
            : (await this.#store.ask((redis) => redis.zrange(holes, 0, '-1'))).map(parsePosition)
        const first = open.sort(comparePositions)[0]
        const mark = first === undefined ? judged : { term: first.term, seq: first.seq - 1 }
        marks.push({ log, shard, mark, judged, open: open.length })
      }
    }
    return marks
  }

  #eachShard<T>(work: (shard: number) => Promise<T>): Promise<T[]> {
    return Promise.all(Array.from({ length: this.#store.shards }, (_, shard) => work(shard)))
  }
}

/** Meta, then everything that a shard keeps of a service. */
function keysOf(keys: ShardKeys, { service }: { readonly service: string }): string[] {
  return [
    keys.meta,
    keys.marks(service),
    ...logs.map((log) => keys.handled(service, log)),
    ...logs.map((log) => keys.holes(service, log)),
  ]
}
