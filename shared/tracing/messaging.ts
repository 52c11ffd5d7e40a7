import type { Attributes } from '@opentelemetry/api'
import type { EntryHead } from '../domain/entry.ts'

/** What is done with a message, and the name that the semantic conventions have for it. */
const types = { publish: 'send', apply: 'process', process: 'process' } as const

/** Attributes of a span about a message, by the semantic conventions for messaging. */
export function messagingOf(
  operation: keyof typeof types,
  destination: string,
  messageId?: string,
): Attributes {
  return {
    'messaging.system': 'rabbitmq',
    'messaging.operation.name': operation,
    'messaging.operation.type': types[operation],
    'messaging.destination.name': destination,
    ...(messageId === undefined ? {} : { 'messaging.message.id': messageId }),
  }
}

/** Which entry a span is about. */
export function entryAttributes(
  entry: Pick<EntryHead, 'tenant' | 'log' | 'shard' | 'kind' | 'seq'>,
): Attributes {
  const { tenant, log, shard, kind, seq } = entry
  return {
    'knell.tenant': tenant,
    'knell.log': log,
    'knell.shard': shard,
    'knell.kind': kind,
    'knell.seq': seq,
  }
}
