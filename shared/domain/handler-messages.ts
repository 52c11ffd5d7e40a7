import { isCount, isRecord, versionText, WIRE_VERSION, type EntryHead } from './entry.ts'
import { KnellError } from './errors.ts'
import { eventKey, parseIndexes } from './partial-entry.ts'
import { isService, isTenant } from './tenant.ts'

/** What a handler failed with, cut to what is worth keeping. */
export interface ErrorRecord {
  readonly name: string
  readonly message: string
  readonly code?: string
}

const MAX_TEXT = 1000

/** Whatever was thrown, as a record that can be sent. Never throws. */
export function toErrorRecord(error: unknown): ErrorRecord {
  try {
    if (!(error instanceof Error)) {
      return { name: 'Error', message: String(error).slice(0, MAX_TEXT) }
    }
    // What is thrown may have put anything in the place of its texts.
    const { name, message, code } = error as unknown as Readonly<Record<string, unknown>>
    const hasCode = typeof code === 'string' || typeof code === 'number'
    return {
      name: String(name).slice(0, 100),
      message: String(message).slice(0, MAX_TEXT),
      ...(hasCode ? { code: String(code).slice(0, 100) } : {}),
    }
  } catch {
    return { name: 'Error', message: 'Something was thrown that cannot be read.' }
  }
}

/** Events of a message that are to be handled again: wraps the message, which stays byte for byte as it was signed. */
export interface RetryMessage {
  readonly v: number
  readonly service: string
  /** The text of the original message. */
  readonly body: string
  /** Its `knell-signature`, where it had one. */
  readonly signature?: string
  /** The indexes, in the original entry, of the events that are still to be handled. */
  readonly indexes: readonly number[]
  /** How often a handler has failed on them. */
  readonly attempt: number
  /** How often an instance without a handler for them has passed them on. */
  readonly passes: number
  readonly firstSeenAt: number
  readonly error?: ErrorRecord
}

function fail(what: string): never {
  throw new KnellError('message_invalid', `A message does not follow the wire contract: ${what}.`)
}

/** Whether a message wraps another one. */
export function isRetryMessage(value: unknown): value is Record<string, unknown> {
  return isRecord(value) && value['body'] !== undefined
}

/** @throws KnellError `message_invalid` */
export function parseRetryMessage(value: Record<string, unknown>, service: string): RetryMessage {
  const { v, body, signature, indexes, attempt, passes = 0, firstSeenAt } = value
  if (v !== WIRE_VERSION) fail(`${versionText(v)} of a retry is not ${WIRE_VERSION}`)
  if (value['service'] !== service) fail('it is a retry of another service')
  if (typeof body !== 'string') fail('a retry has no body')
  if (signature !== undefined && typeof signature !== 'string') fail('a signature is not a text')
  if (!isCount(attempt) || !isCount(passes)) fail('a retry does not count its attempts')
  if (!isCount(firstSeenAt)) fail('a retry has no firstSeenAt')
  return {
    v: WIRE_VERSION,
    service,
    body,
    ...(signature === undefined ? {} : { signature }),
    indexes: parseIndexes(indexes),
    attempt,
    passes,
    firstSeenAt,
  }
}

/** One event that a service's handlers gave up. */
export interface DeadEvent extends EntryHead {
  readonly v: number
  readonly service: string
  readonly index: number
  readonly event: unknown
  /** The idempotency key. */
  readonly key: string
  readonly error: ErrorRecord
  readonly attempts: number
  readonly firstSeenAt: number
  readonly deadAt: number
}

/** What lies among the dead letters of a service for one event. */
export function toDeadEvent(
  { tenant, log, kind, shard, epoch, seq, at }: EntryHead,
  index: number,
  event: unknown,
  about: Pick<DeadEvent, 'service' | 'error' | 'attempts' | 'firstSeenAt' | 'deadAt'>,
): DeadEvent {
  const head = { tenant, log, kind, shard, epoch, seq, at }
  return { v: WIRE_VERSION, ...head, index, event, key: eventKey(head, index), ...about }
}

/** A message that no version of the contract explains, as it came. */
export interface PoisonLetter {
  readonly v: number
  readonly service: string
  /** `poison.` and the beginning of the SHA-256 of its bytes. */
  readonly key: string
  /** Base64 of its first bytes. */
  readonly raw: string
  /** How many there were. */
  readonly bytes: number
  readonly error: ErrorRecord
  readonly firstSeenAt: number
  readonly deadAt: number
}

/** Reads what lies in a dead-letter queue; undefined where it is neither. */
export function parseDeadLetter(value: unknown): DeadEvent | PoisonLetter | undefined {
  if (!isRecord(value) || !isService(value['service'])) return undefined
  const { key, raw, error, tenant, log, kind, shard, epoch, seq, index, at, event } = value
  if (typeof key !== 'string' || !isRecord(error)) return undefined
  if (typeof raw === 'string') return value as unknown as PoisonLetter
  if (!isTenant(tenant) || (log !== 'revocations' && log !== 'expiries')) return undefined
  if (typeof kind !== 'string' || typeof epoch !== 'string' || !isRecord(event)) return undefined
  if (!isCount(shard) || !isCount(seq) || !isCount(index) || !isCount(at)) return undefined
  return value as unknown as DeadEvent
}
