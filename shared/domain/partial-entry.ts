import { isCount, parseEntry, positionOf, type Entry, type EntryHead } from './entry.ts'
import { KnellError } from './errors.ts'
import { formatPlace } from './position.ts'

const MAX_EVENTS = 500

/**
 * An entry, or some events of one: what is sent to a service again has the member `indexes`,
 * parallel to `events`, which says which events of the original entry these are.
 */
export interface PartialEntry {
  readonly entry: Entry
  /** Parallel to the entry's events: their indexes in the original entry. */
  readonly indexes: readonly number[]
  /** The events as they stand in the message, with members this version does not know. */
  readonly raw: readonly unknown[]
  /** Whether these are all events of the original entry. */
  readonly isWhole: boolean
}

function fail(what: string): never {
  throw new KnellError('message_invalid', `A message does not follow the wire contract: ${what}.`)
}

/** Distinct indexes of events of an entry. @throws KnellError `message_invalid` */
export function parseIndexes(value: unknown): readonly number[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_EVENTS) {
    fail('indexes is not an array of 1 to 500')
  }
  if (!value.every((index) => isCount(index) && index < MAX_EVENTS)) {
    fail('indexes holds something that is no index of an event')
  }
  if (new Set(value).size !== value.length) fail('indexes names an event twice')
  return value as number[]
}

/** @throws KnellError `message_invalid` */
export function parsePartialEntry(value: unknown): PartialEntry {
  const entry = parseEntry(value)
  const { events: raw, indexes } = value as { events: unknown[]; indexes?: unknown }
  if (indexes === undefined) {
    return { entry, indexes: raw.map((_, index) => index), raw, isWhole: true }
  }
  const read = parseIndexes(indexes)
  if (read.length !== raw.length) fail('indexes is not as long as events')
  return { entry, indexes: read, raw, isWhole: false }
}

/** The place of an entry as text: also its `message-id`. */
export function entryId(entry: EntryHead): string {
  const { tenant, log, shard } = entry
  return formatPlace({ tenant, log, shard, position: positionOf(entry) })
}

/** The idempotency key of an event, `<tenant>.<log>.<shard>.<term>-<seq>.<index>`. */
export function eventKey(entry: EntryHead, index: number): string {
  return `${entryId(entry)}.${index}`
}

/** The body of one event of an entry, as it is sent to a service again. */
export function toPartialBody(head: EntryHead, index: number, event: unknown): string {
  const { tenant, log, shard, epoch, seq, at, kind } = head
  return JSON.stringify({
    v: 1,
    tenant,
    log,
    shard,
    epoch,
    seq,
    at,
    kind,
    events: [event],
    indexes: [index],
  })
}
