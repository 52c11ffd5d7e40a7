import type { Context } from '@opentelemetry/api'
import { entryId } from '../../domain/partial-entry.ts'
import { entryAttributes, messagingOf } from '../../tracing/messaging.ts'
import { otel } from '../../tracing/otel.ts'
import { contextOf, failSpan, inSpan } from '../../tracing/spans.ts'
import type { Batch } from './batch.ts'
import type { HandledCounts } from '../events.ts'
import type { Outcome } from './worker.ts'

/** The span of one message of the service's queue: from here until each of its events lies where it belongs. */
export function inProcessSpan(
  queue: string,
  batch: Batch,
  work: (within: Context) => Promise<HandledCounts | undefined>,
): Promise<HandledCounts | undefined> {
  const { entry, items, attempt, trace } = batch
  const plan = {
    kind: otel().SpanKind.CONSUMER,
    attributes: {
      ...messagingOf('process', queue, entryId(entry)),
      ...entryAttributes(entry),
      'knell.events': items.length,
      'knell.attempt': attempt + 1,
    },
    parent: contextOf(trace),
  }
  return inSpan(`process ${queue}`, plan, async (span, within) => {
    const counts = await work(within)
    span.setAttributes({
      'knell.handled': counts?.handled ?? 0,
      'knell.retried': counts?.retried ?? 0,
      'knell.dead': counts?.dead ?? 0,
    })
    return counts
  })
}

/** The span of one event's handler, within which its own spans nest. */
export function inHandleSpan(
  { entry, attempt }: Batch,
  parent: Context,
  work: () => Promise<Outcome>,
): Promise<Outcome> {
  const attributes = { ...entryAttributes(entry), 'knell.attempt': attempt + 1 }
  return inSpan(`handle ${entry.kind}`, { attributes, parent }, async (span) => {
    const outcome = await work()
    span.setAttribute('knell.outcome', outcome.what)
    if (outcome.what === 'failed') failSpan(span, outcome.error)
    return outcome
  })
}
