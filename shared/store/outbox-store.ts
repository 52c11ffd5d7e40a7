import {
  comparePositions,
  formatPosition,
  logs,
  parsePosition,
  type Log,
  type Position,
} from '../domain/position.ts'
import type { Store } from './store.ts'

/** So many notes of a shard and log are looked through from either end of the last tries, so that a long outage costs no long read. */
const SAMPLE = 1000
/** So many shards and logs with unsent entries are looked through. */
const MAX_PLACES = 256

/** How a log stands, over all tenants and shards. */
export interface LogState {
  readonly log: Log
  /** The tails of all shards, added up. */
  readonly tail: number
  /** Entries that RabbitMQ has not confirmed. */
  readonly unsent: number
  /** The most of them in one shard. */
  readonly mostUnsent: number
  /** The time (ms) at which the oldest of them was committed; undefined where none is. */
  readonly oldestUnsentAt: number | undefined
}

interface UnsentPlace {
  readonly tenant: string
  readonly shard: number
  readonly log: Log
}

/** What of the feed still waits for RabbitMQ. */
export class OutboxStore {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /** Plain reads; nothing is written. @throws KnellError `store_*` */
  async read(tenants: readonly string[]): Promise<LogState[]> {
    const places = tenants.flatMap((tenant) =>
      Array.from({ length: this.#store.shards }, (_, shard) => ({ tenant, shard })),
    )
    const answers = await this.#store.readAll(
      places.flatMap(({ tenant, shard }): [string, ...string[]][] => {
        const { meta, unsent } = this.#store.keys.shard(tenant, shard)
        return [
          ['hmget', meta, 'rev', 'exp'],
          ['zcard', unsent.revocations],
          ['zcard', unsent.expiries],
        ]
      }),
    )
    const rows = places.map((place, i) => {
      const [tails, revocations, expiries] = answers.slice(3 * i, 3 * i + 3)
      const [rev, exp] = Array.isArray(tails) ? tails.map(Number) : []
      return {
        ...place,
        revocations: { tail: rev ?? 0, unsent: Number(revocations ?? 0) },
        expiries: { tail: exp ?? 0, unsent: Number(expiries ?? 0) },
      }
    })
    const waiting = rows.flatMap((row) =>
      logs.flatMap((log): UnsentPlace[] => (row[log].unsent > 0 ? [{ ...row, log }] : [])),
    )
    const oldest = await this.#oldestOf(waiting.slice(0, MAX_PLACES))
    return logs.map((log) => ({
      log,
      tail: rows.reduce((sum, row) => sum + row[log].tail, 0),
      unsent: rows.reduce((sum, row) => sum + row[log].unsent, 0),
      mostUnsent: rows.reduce((most, row) => Math.max(most, row[log].unsent), 0),
      oldestUnsentAt: oldest.get(log),
    }))
  }

  /**
   * The notes lie by their last try, the position of the oldest entry anywhere among them. Where a shard has more
   * than can be looked through, what is found may be younger than the oldest by a round of tries.
   */
  async #oldestOf(places: readonly UnsentPlace[]): Promise<Map<Log, number>> {
    const notes = await this.#store.readAll(
      places.flatMap(({ tenant, shard, log }): [string, ...string[]][] => {
        const key = this.#store.keys.shard(tenant, shard).unsent[log]
        return [
          ['zrange', key, '0', `${SAMPLE - 1}`],
          ['zrange', key, `-${SAMPLE}`, '-1'],
        ]
      }),
    )
    const firsts = places.flatMap((place, i) => {
      const found = notes.slice(2 * i, 2 * i + 2).flatMap((ids) => (Array.isArray(ids) ? ids : []))
      const first = firstOf(found.map((id) => parsePosition(String(id))))
      return first === undefined ? [] : [{ ...place, id: formatPosition(first) }]
    })
    const entries = await this.#store.readAll(
      firsts.map(({ tenant, shard, log, id }) => [
        'xrange',
        this.#store.keys.shard(tenant, shard).feed[log],
        id,
        id,
      ]),
    )
    const oldest = new Map<Log, number>()
    for (const [i, { log }] of firsts.entries()) {
      const at = committedAt(entries[i])
      if (at !== undefined) oldest.set(log, Math.min(at, oldest.get(log) ?? Infinity))
    }
    return oldest
  }
}

function firstOf(positions: readonly Position[]): Position | undefined {
  let first: Position | undefined
  for (const position of positions) {
    if (first === undefined || comparePositions(position, first) < 0) first = position
  }
  return first
}

/** The `at` of an entry as a stream holds it; a note may outlive its entry for a moment. */
function committedAt(found: unknown): number | undefined {
  const [item] = Array.isArray(found) ? (found as [string, string[]][]) : []
  const body = item?.[1][1]
  if (body === undefined) return undefined
  const { at } = JSON.parse(body) as { at?: unknown }
  return typeof at === 'number' ? at : undefined
}
