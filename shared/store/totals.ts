import { KnellError } from '../domain/errors.ts'
import {
  parsePosition,
  comparePositions,
  logs,
  type Log,
  type Position,
} from '../domain/position.ts'
import type { Store } from './store.ts'
import { thisMoment } from '../process/this-moment.ts'

/** What the store holds, over all shards of all tenants. */
export interface Totals {
  /** Tokens announced as expired, ever. */
  readonly expired: number
  /** Tokens on the wheel. */
  readonly waiting: number
  /** Rules, those included that were lifted and are kept until no token needs them. */
  readonly rules: number
  readonly logs: Readonly<Record<Log, LogTotals>>
}

export interface LogTotals {
  /** The sum of the shards' last positions. */
  readonly tail: number
  /** Entries that RabbitMQ has not confirmed. */
  readonly unsent: number
  /** The most of them in one shard. */
  readonly mostUnsent: number
  /** How long ago, ms, the oldest of them was committed; 0 where there is none. */
  readonly oldestMs: number
}

/** A shard and log that has unsent entries, and when the one was tried that was tried longest ago. */
interface Unsent {
  readonly log: Log
  readonly feed: string
  readonly unsent: string
  readonly triedAt: number
}

const COMMANDS = 6
/** So many unsent entries of a shard are looked at from either end: all of them where there are not twice as many. */
const LOOKED_AT = 500
/** So many shards, those first whose entries have waited longest since a try. */
const MAX_SHARDS = 64

/**
 * Reads what the store holds, by plain reads: no epoch is begun and no clock is moved.
 * @throws KnellError `store_*` where some shard did not answer: a sum without it would be wrong
 */
export async function readTotals(store: Store, tenants: readonly string[]): Promise<Totals> {
  const { keys, shards } = store
  const places = tenants.flatMap((tenant) =>
    Array.from({ length: shards }, (_, shard) => keys.shard(tenant, shard)),
  )
  const second = store.clock.isSet ? store.clock.earliest(thisMoment()) / 1000 : 0
  const live = String(Math.floor(second))
  const answers = await store.readAll(
    places.flatMap(({ meta, until, unsent }): [string, ...string[]][] => [
      ['hmget', meta, 'rev', 'exp', 'tokens', 'expired'],
      ['zcount', until, live, '+inf'],
      ['zcard', unsent.revocations],
      ['zcard', unsent.expiries],
      ['zrange', unsent.revocations, '0', '0', 'WITHSCORES'],
      ['zrange', unsent.expiries, '0', '0', 'WITHSCORES'],
    ]),
  )
  if (answers.includes(undefined)) {
    throw new KnellError('store_unavailable', 'A part of the store did not answer.')
  }
  const total = { expired: 0, waiting: 0, rules: 0 }
  const tails = { revocations: 0, expiries: 0 }
  const unsent = { revocations: 0, expiries: 0 }
  const mostUnsent = { revocations: 0, expiries: 0 }
  const left: Unsent[] = []
  for (const [i, place] of places.entries()) {
    const [meta, rules, ...rest] = answers.slice(COMMANDS * i, COMMANDS * (i + 1))
    const [revocations, expiries, waiting, expired] = (meta as (string | null)[]).map(Number)
    tails.revocations += revocations ?? 0
    tails.expiries += expiries ?? 0
    total.waiting += waiting ?? 0
    total.expired += expired ?? 0
    total.rules += Number(rules)
    for (const [n, log] of logs.entries()) {
      const count = Number(rest[n])
      unsent[log] += count
      mostUnsent[log] = Math.max(mostUnsent[log], count)
      const [, triedAt] = (rest[2 + n] as string[]).flat()
      if (triedAt === undefined) continue
      left.push({
        log,
        feed: place.feed[log],
        unsent: place.unsent[log],
        triedAt: Number(triedAt),
      })
    }
  }
  const oldest = await oldestOf(store, left)
  const logTotals = (log: Log): LogTotals => ({
    tail: tails[log],
    unsent: unsent[log],
    mostUnsent: mostUnsent[log],
    oldestMs: oldest[log],
  })
  return {
    ...total,
    logs: { revocations: logTotals('revocations'), expiries: logTotals('expiries') },
  }
}

/**
 * The age of the oldest unsent entry of each log. Notes are sorted by their last try, so the entry
 * committed first is the one with the lowest position among them.
 */
async function oldestOf(store: Store, left: readonly Unsent[]): Promise<Record<Log, number>> {
  const places = [...left].sort((a, b) => a.triedAt - b.triedAt).slice(0, MAX_SHARDS)
  const ids = await store.readAll(
    places.flatMap(({ unsent }): [string, ...string[]][] => [
      ['zrange', unsent, '0', String(LOOKED_AT - 1)],
      ['zrange', unsent, String(-LOOKED_AT), '-1'],
    ]),
  )
  const firsts = places.flatMap((place, i) => {
    const found = ids.slice(2 * i, 2 * i + 2).flatMap((some) => (some ?? []) as string[])
    const first = lowest(found)
    return first === undefined ? [] : [{ ...place, first }]
  })
  const entries = await store.readAll(
    firsts.map(({ feed, first }) => ['xrange', feed, first, first]),
  )
  const now = store.clock.isSet ? store.clock.latest(thisMoment()) : Date.now()
  const oldest = { revocations: 0, expiries: 0 }
  for (const [i, { log }] of firsts.entries()) {
    const [found] = (entries[i] ?? []) as [string, string[]][]
    // It stands in the head, before the events.
    const at = /"at":(\d+)/.exec(found?.[1][1]?.slice(0, 400) ?? '')?.[1]
    if (at !== undefined) oldest[log] = Math.max(oldest[log], now - Number(at))
  }
  return oldest
}

function lowest(ids: readonly string[]): string | undefined {
  let first: { id: string; position: Position } | undefined
  for (const id of ids) {
    const position = parsePosition(id)
    if (first === undefined || comparePositions(position, first.position) < 0) {
      first = { id, position }
    }
  }
  return first?.id
}
