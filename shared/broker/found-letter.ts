import type { GetMessage } from 'amqplib'
import { parseEntry } from '../domain/entry.ts'
import {
  isRetryMessage,
  parseDeadLetter,
  type DeadEvent,
  type ErrorRecord,
  type PoisonLetter,
} from '../domain/handler-messages.ts'
import { entryId, toPartialBody } from '../domain/partial-entry.ts'
import { readTrace } from '../tracing/trace-text.ts'
import type { Outgoing } from './publisher.ts'

/** A whole message that RabbitMQ itself put among the dead letters: it was delivered too often, or its queue was full. */
export interface DroppedMessage {
  readonly key: string
  readonly tenant: string
  readonly service: string
  readonly events: number
  readonly error: ErrorRecord
}

export type DeadLetter = DeadEvent | PoisonLetter | DroppedMessage

/** What was taken out of a service's dead letters. */
export interface Found {
  readonly message: GetMessage
  /** Undefined for bytes that are no dead letter at all. */
  readonly letter: DeadLetter | undefined
  /** What puts it back; undefined for poison. */
  again: Again | undefined
}

type Again = Pick<Outgoing, 'type' | 'messageId' | 'body' | 'signature'>

/** Reads what was taken; whatever it is, it is told. */
export function readFound(message: GetMessage, service: string): Found {
  const text = message.content.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { message, letter: undefined, again: undefined }
  }
  const letter = parseDeadLetter(value)
  if (letter !== undefined) return { message, letter, again: againOf(letter) }
  try {
    const entry = parseEntry(isRetryMessage(value) ? JSON.parse(String(value['body'])) : value)
    const dropped: DroppedMessage = {
      key: entryId(entry),
      tenant: entry.tenant,
      service,
      events: entry.events.length,
      error: { name: 'Dropped', message: whyDropped(message) },
    }
    const { type } = message.properties as { type?: string }
    const again = { type: type ?? `knell.${entry.kind}`, messageId: dropped.key, body: text }
    return { message, letter: dropped, again }
  } catch {
    return { message, letter: undefined, again: undefined }
  }
}

function againOf(letter: DeadEvent | PoisonLetter): Found['again'] {
  if ('raw' in letter) return undefined
  return {
    type: `knell.${letter.kind}`,
    messageId: letter.key,
    body: toPartialBody(letter, letter.index, letter.event),
  }
}

function whyDropped({ properties }: GetMessage): string {
  const [death] = (properties.headers?.['x-death'] ?? []) as { reason?: string }[]
  return death?.reason === 'delivery_limit'
    ? 'It was delivered too often without an answer: the instances that took it died.'
    : `RabbitMQ dropped it: ${death?.reason ?? 'no reason given'}.`
}

/** A message that goes back as it came keeps its signature and its trace. */
export function keptHeadersOf({ properties }: GetMessage): Pick<Outgoing, 'signature' | 'trace'> {
  const signature: unknown = properties.headers?.['knell-signature']
  const trace = readTrace(properties.headers)
  return { ...(typeof signature === 'string' ? { signature } : {}), trace }
}
