import { isCount, isKind, isRecord, type Kind } from './entry.ts'
import { KnellError } from './errors.ts'
import { logs, termOf, type Log } from './position.ts'

/** What one instance reports of one log and shard: which events its service's handlers are done with. */
export interface Handled {
  readonly log: Log
  readonly shard: number
  readonly epoch: string
  /** The highest `seq` it has received. It says nothing of what is done: instances share a queue. */
  readonly upTo: number
  /** Indexes of events that were handled or dead-lettered, by `seq`; none stands for all of the entry. */
  readonly done: ReadonlyMap<number, readonly number[]>
  /** By `seq`, how many ms this instance may still have the entry in hand: its own next attempt is due by then. */
  readonly retrying: ReadonlyMap<number, number>
}

/** What a service handles, as an instance that has handlers says it. */
export interface Handles {
  readonly kinds: readonly Kind[]
  /** How often an entry is sent again before it counts as dead, 1 to 100. */
  readonly maxAttempts: number
}

/** The most entries that one report may speak of. */
export const MAX_REPORTED = 4000
const MAX_PARTS = 256
const MAX_INDEX = 499
const MAX_RETRYING_MS = 86_400_000
const MAX_ATTEMPTS = 100

function fail(what: string): never {
  throw new KnellError('message_invalid', `An ack does not follow the wire contract: ${what}.`)
}

function readSeqs<T>(value: unknown, read: (item: unknown) => T): ReadonlyMap<number, T> {
  if (value === undefined) return new Map()
  if (!isRecord(value)) fail('done or retrying is not an object')
  const entries = Object.entries(value).map(([text, item]): [number, T] => {
    const seq = Number(text)
    if (!isCount(seq) || seq === 0 || String(seq) !== text) fail(`"${text.slice(0, 40)}" is no seq`)
    return [seq, read(item)]
  })
  return new Map(entries)
}

function readIndexes(value: unknown): readonly number[] {
  if (!Array.isArray(value) || value.length > MAX_INDEX + 1) fail('done has no list of indexes')
  if (!value.every((index) => isCount(index) && index <= MAX_INDEX)) {
    fail(`an index is not a whole number up to ${MAX_INDEX}`)
  }
  return value as number[]
}

function readMs(value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0)) fail('retrying is not a number of ms')
  return Math.min(Math.ceil(value), MAX_RETRYING_MS)
}

function readPart(value: unknown): Handled {
  if (!isRecord(value)) fail('a part of handled is not an object')
  const { log, shard, epoch, upTo, done, retrying } = value
  if (!logs.includes(log as Log)) fail('handled has no log')
  if (!isCount(shard) || shard > 1023) fail('shard is not a small whole number')
  if (typeof epoch !== 'string' || termOf(epoch) === undefined) fail('epoch is missing')
  if (!isCount(upTo)) fail('upTo is not a whole number')
  return {
    log: log as Log,
    shard,
    epoch,
    upTo,
    done: readSeqs(done, readIndexes),
    retrying: readSeqs(retrying, readMs),
  }
}

/** Reads the member `handled` of an ack; absent means nothing. @throws KnellError `message_invalid` */
export function parseHandled(value: unknown): readonly Handled[] {
  if (value === undefined) return []
  if (!Array.isArray(value) || value.length > MAX_PARTS) fail('handled is not a short array')
  const parts = value.map(readPart)
  const count = parts.reduce((sum, { done, retrying }) => sum + done.size + retrying.size, 0)
  if (count > MAX_REPORTED) fail(`handled speaks of more than ${MAX_REPORTED} entries`)
  return parts
}

/** Reads the member `handles` of an ack; absent means that the instance has no handlers. @throws KnellError `message_invalid` */
export function parseHandles(value: unknown): Handles | undefined {
  if (value === undefined) return undefined
  if (!isRecord(value)) fail('handles is not an object')
  const { kinds, maxAttempts } = value
  if (!Array.isArray(kinds) || kinds.length === 0 || kinds.length > 16 || !kinds.every(isKind)) {
    fail('handles has no list of kinds')
  }
  if (!isCount(maxAttempts) || maxAttempts === 0 || maxAttempts > MAX_ATTEMPTS) {
    fail(`maxAttempts is not a whole number from 1 to ${MAX_ATTEMPTS}`)
  }
  return { kinds: [...new Set(kinds)], maxAttempts }
}
