import type { Published } from '../relay/relay.ts'
import type { Metrics } from './metrics.ts'

/** Counts what became of a published entry. */
export function observePublished(
  metrics: Metrics,
  kind: string,
  what: Published,
  ms: number,
): void {
  if (what === 'nacked') {
    metrics.count('knell_events_nacked_total')
    return
  }
  metrics.count('knell_events_published_total', { type: `knell.${kind}` })
  metrics.observe('knell_publish_confirm_seconds', ms / 1000)
  if (what === 'unroutable') metrics.count('knell_events_returned_total', { type: `knell.${kind}` })
}
