import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { metricsTable, type MetricName } from './metrics-table.ts'

export type Made = Counter | Gauge | Histogram

/** Makes a metric as the table says. `collect`, where it is given, is asked for its values at each scrape. */
export function makeMetric(name: MetricName, registry: Registry, collect?: () => void): Made {
  const { type, help, labels = {}, buckets } = metricsTable[name]
  const labelNames = Object.keys(labels)
  const common = {
    name,
    help,
    labelNames,
    registers: [registry],
    ...(collect === undefined ? {} : { collect }),
  }
  if (type === 'histogram') return new Histogram({ ...common, buckets: [...(buckets ?? [])] })
  if (type === 'gauge') {
    const gauge = new Gauge(common)
    clearMetric(gauge)
    return gauge
  }
  const counter = new Counter(common)
  // A counter that appears only with its first event hides that event from `increase`.
  const [label, values] = Object.entries(labels)[0] ?? []
  if (label !== undefined && labelNames.length === 1 && Array.isArray(values)) {
    for (const value of values as string[]) counter.inc({ [label]: value }, 0)
  }
  return counter
}

/** Takes all values away: what is not known is absent, not 0. */
export function clearMetric(metric: Made | undefined): void {
  metric?.reset()
  if (metric instanceof Gauge || metric instanceof Counter) metric.remove({})
}
