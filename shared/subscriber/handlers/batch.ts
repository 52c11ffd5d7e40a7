import { MAX_ENTRY_BYTES, parseJson, type Entry } from '../../domain/entry.ts'
import { KnellError } from '../../domain/errors.ts'
import type { TraceText } from '../../tracing/trace-text.ts'
import { isRetryMessage, parseRetryMessage } from '../../domain/handler-messages.ts'
import { eventKey, parsePartialEntry, type PartialEntry } from '../../domain/partial-entry.ts'

/** A retry wraps an entry as JSON text, whose escapes may more than double it. */
const MAX_MESSAGE_BYTES = 4 * MAX_ENTRY_BYTES

/** One event to be handled. */
export interface Item {
  /** In the original entry. */
  readonly index: number
  readonly event: Entry['events'][number]
  /** As it stands in the message. */
  readonly raw: unknown
  readonly key: string
}

/** The events of one message that are still to be handled. */
export interface Batch {
  readonly entry: Entry
  readonly items: readonly Item[]
  /** Whether these are all events of the entry. */
  readonly isWhole: boolean
  /** How often a handler has failed on them. */
  readonly attempt: number
  /** How often an instance without a handler for them has passed them on. */
  readonly passes: number
  readonly firstSeenAt: number
  /** The text of the entry, byte for byte as it was signed. */
  readonly body: string
  readonly signature?: string
  /** Where its trace stands; each try of each event is a part of it. */
  readonly trace?: TraceText | undefined
}

/** Judges the text of an entry, or of some events of one, and its signature before anything in it is believed. Throws for one that is not to be. */
export type BodyCheck = (
  body: string,
  signature: string | undefined,
  kind: 'entry' | 'partial',
) => void

export interface BatchRules {
  readonly service: string
  readonly tenants: readonly string[]
  readonly checkBody?: BodyCheck
}

/** Reads what the service's queue brought. @throws KnellError `message_invalid` and what the check of the body throws */
export function readBatch(
  content: Uint8Array,
  signature: string | undefined,
  now: number,
  rules: BatchRules,
): Batch {
  if (content.length > MAX_MESSAGE_BYTES) {
    throw new KnellError('message_invalid', `A message of ${content.length} bytes is too large.`)
  }
  const text = decode(content)
  const value = parseJson(text)
  if (!isRetryMessage(value)) {
    return toBatch(parsePartialEntry(value), { text, signature, now }, rules)
  }
  const retry = parseRetryMessage(value, rules.service)
  const { body, attempt, passes, firstSeenAt, indexes } = retry
  const inner = parsePartialEntry(parseJson(body))
  const batch = toBatch(inner, { text: body, signature: retry.signature, now }, rules)
  const items = batch.items.filter(({ index }) => indexes.includes(index))
  if (items.length !== indexes.length) {
    throw new KnellError('message_invalid', 'A retry names events that its entry does not have.')
  }
  const isWhole = batch.isWhole && items.length === batch.items.length
  return { ...batch, items, isWhole, attempt, passes, firstSeenAt }
}

/** An entry that was pulled, as a batch. @throws KnellError */
export function batchOf(
  body: string,
  signature: string | undefined,
  now: number,
  rules: BatchRules,
): Batch {
  return toBatch(parsePartialEntry(parseJson(body)), { text: body, signature, now }, rules)
}

function toBatch(
  { entry, indexes, raw, isWhole }: PartialEntry,
  { text, signature, now }: { text: string; signature: string | undefined; now: number },
  { tenants, checkBody }: BatchRules,
): Batch {
  checkBody?.(text, signature, isWhole ? 'entry' : 'partial')
  if (!tenants.includes(entry.tenant)) {
    throw new KnellError('message_invalid', `The tenant "${entry.tenant}" is not followed here.`)
  }
  return {
    entry,
    items: entry.events.map((event, i) => {
      const index = indexes[i] as number
      return { index, event, raw: raw[i], key: eventKey(entry, index) }
    }),
    isWhole,
    attempt: 0,
    passes: 0,
    firstSeenAt: now,
    body: text,
    ...(signature === undefined ? {} : { signature }),
  }
}

function decode(content: Uint8Array): string {
  try {
    // A byte order mark stays, so that the text has the bytes that were signed.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
  } catch (error) {
    throw new KnellError('message_invalid', 'A message is not UTF-8.', { cause: error })
  }
}
