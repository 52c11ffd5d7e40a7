import { SpanKind, type Link } from '@opentelemetry/api'
import { messagingOf } from './messaging.ts'
import { contextOf, inSpan, textOf } from './spans.ts'
import type { TraceText } from './trace-text.ts'

interface Published {
  readonly exchange: string
  readonly routingKey: string
  readonly messageId?: string
}

/**
 * Publishes within a span that ends with the confirm. It is a child of the commit, whichever process
 * publishes and however much later; what no call brought about, such as an expiry, begins a trace.
 */
export function inPublishSpan<T>(
  { exchange, routingKey, messageId }: Published,
  { trace, links = [] }: { readonly trace?: TraceText; readonly links?: readonly Link[] },
  publish: (trace: TraceText | undefined) => Promise<T>,
): Promise<T> {
  const plan = {
    kind: SpanKind.PRODUCER,
    attributes: {
      ...messagingOf('publish', exchange, messageId),
      'messaging.rabbitmq.destination.routing_key': routingKey,
    },
    parent: contextOf(trace),
    links,
  }
  // Without an SDK a trace that the store keeps goes on as it is.
  return inSpan(`publish ${exchange}`, plan, (_, within) => publish(textOf(within) ?? trace))
}
