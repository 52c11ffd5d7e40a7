import type { Entry } from '../domain/entry.ts'
import { entryId } from '../domain/partial-entry.ts'
import { entryAttributes, messagingOf } from '../tracing/messaging.ts'
import { isTraced, otel } from '../tracing/otel.ts'
import { contextOf, inSyncSpan } from '../tracing/spans.ts'
import type { TraceText } from '../tracing/trace-text.ts'
import type { FeedPage } from '../domain/view.ts'

/** The span of an entry that was pushed: it is applied to the view, and listeners hear of it, when it ends. */
export function inApplySpan(
  exchange: string,
  entry: Entry,
  trace: TraceText | undefined,
  apply: () => string,
): void {
  if (!isTraced()) return void apply()
  const plan = {
    kind: otel().SpanKind.CONSUMER,
    attributes: {
      ...messagingOf('apply', exchange, entryId(entry)),
      ...entryAttributes(entry),
      'knell.events': entry.events.length,
    },
    parent: contextOf(trace),
  }
  inSyncSpan(`apply ${exchange}`, plan, (span) => void span.setAttribute('knell.arrival', apply()))
}

/** The span of entries that were pulled. A page may hold those of many traces, and none is named in it, so it begins its own. */
export function inPullSpan<T>({ tenant, log, entries }: FeedPage, apply: () => T): T {
  if (entries.length === 0 || !isTraced()) return apply()
  const attributes = { 'knell.tenant': tenant, 'knell.log': log, 'knell.entries': entries.length }
  return inSyncSpan('apply feed', { attributes, parent: otel().ROOT_CONTEXT }, apply)
}
