import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { logs } from '../domain/position.ts'
import type {
  EventSource,
  HandledCounts,
  Subscriber,
  SubscriberStats,
} from '../subscriber/index.ts'
import { clearMetric, makeMetric, type Made } from './make-metric.ts'
import { metricsAt, type MetricName } from './metrics-table.ts'

export interface SubscriberMetricsOptions {
  /** The service's own registry, to which Knell's metrics are added. Default: a new one. */
  readonly registry?: Registry
}

export interface SubscriberMetrics {
  /** For `registry.metrics()` and `registry.contentType` in the service's own route. */
  readonly registry: Registry
  /**
   * Listens no more and takes Knell's metrics out of the registry, unless another subscriber is
   * measured there. Twice is fine. To be called before or after the subscriber is closed.
   */
  readonly stop: () => void
}

/** What one registry measures, and of whom. */
const measured = new WeakMap<Registry, Measured>()

/**
 * Measures a subscriber: how soon revocations reach its view, how fresh that is, what its handlers
 * do. Several subscribers of one process may share a registry; their counts are added up. What is a
 * state is read when somebody scrapes; a check costs no more than without.
 * @throws Error of prom-client where the registry has a metric of one of these names already
 */
export function createSubscriberMetrics(
  subscriber: Subscriber,
  options: SubscriberMetricsOptions = {},
): SubscriberMetrics {
  const registry = options.registry ?? new Registry()
  let found = measured.get(registry)
  if (found === undefined) {
    found = new Measured(registry)
    measured.set(registry, found)
  }
  return { registry, stop: found.add(subscriber) }
}

/** What is read of a subscriber's statistics for a metric of counters, by the value of its label. */
type Counts = (stats: SubscriberStats) => Readonly<Record<string, number>>

const counters: Readonly<Partial<Record<MetricName, { label?: string; read: Counts }>>> = {
  knell_subscriber_checks_total: {
    label: 'code',
    read: ({ checks }) => checks,
  },
  knell_subscriber_rejected_events_total: {
    label: 'reason',
    read: ({ invalid, refused }) => ({ invalid, ...refused }),
  },
  knell_subscriber_pulls_total: { read: ({ pulls }) => ({ '': pulls }) },
  knell_subscriber_snapshots_total: { read: ({ snapshots }) => ({ '': snapshots }) },
}

class Measured {
  readonly #registry: Registry
  readonly #subscribers = new Set<Subscriber>()
  readonly #made = new Map<MetricName, Made>()
  /** What subscribers had counted that are not measured any more: a counter must not go back. */
  readonly #before = new Map<string, number>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  /** Begins to measure; what it returns ends that. */
  add(subscriber: Subscriber): () => void {
    if (this.#subscribers.has(subscriber)) {
      throw new TypeError('This subscriber is measured in this registry already.')
    }
    if (this.#subscribers.size === 0) this.#make()
    const onApplied = (_source: EventSource, ms: number): void =>
      this.#observe('knell_revocation_propagation_seconds', ms)
    const onRan = (_kind: unknown, ms: number): void => this.#observe('knell_handler_seconds', ms)
    const onSettled = (counts: HandledCounts): void => {
      const metric = this.#made.get('knell_handler_events_total')
      if (!(metric instanceof Counter)) return
      for (const [outcome, count] of Object.entries(counts)) metric.inc({ outcome }, count)
    }
    this.#subscribers.add(subscriber)
    subscriber.on('applied', onApplied).on('ran', onRan).on('settled', onSettled)
    return () => {
      if (!this.#subscribers.delete(subscriber)) return
      subscriber.off('applied', onApplied).off('ran', onRan).off('settled', onSettled)
      this.#leave(subscriber)
    }
  }

  #observe(name: MetricName, ms: number): void {
    const metric = this.#made.get(name)
    if (metric instanceof Histogram) metric.observe(ms / 1000)
  }

  #make(): void {
    try {
      for (const name of metricsAt('service')) {
        this.#made.set(
          name,
          makeMetric(name, this.#registry, () => this.#collect(name)),
        )
      }
    } catch (error) {
      // Some are there already that are somebody else's; ours must not stay beside them.
      this.#remove()
      throw error
    }
  }

  #leave({ stats }: Subscriber): void {
    if (this.#subscribers.size === 0) {
      this.#before.clear()
      this.#remove()
      return
    }
    for (const [name, { read }] of Object.entries(counters)) {
      for (const [value, count] of Object.entries(read(stats))) {
        const key = `${name} ${value}`
        this.#before.set(key, (this.#before.get(key) ?? 0) + count)
      }
    }
  }

  #remove(): void {
    for (const name of this.#made.keys()) this.#registry.removeSingleMetric(name)
    this.#made.clear()
  }

  /** Sets one metric to what the subscribers say now. */
  #collect(name: MetricName): void {
    const metric = this.#made.get(name)
    if (metric instanceof Gauge) this.#gauge(name, metric)
    if (metric instanceof Counter) this.#counter(name, metric)
  }

  #counter(name: MetricName, metric: Counter): void {
    const { label, read } = counters[name] ?? {}
    if (read === undefined) return
    const totals = new Map<string, number>()
    const add = (value: string, count: number): void => {
      totals.set(value, (totals.get(value) ?? 0) + count)
    }
    for (const [key, count] of this.#before) {
      const [of, value = ''] = key.split(' ')
      if (of === name) add(value, count)
    }
    for (const { stats } of this.#subscribers) {
      for (const [value, count] of Object.entries(read(stats))) add(value, count)
    }
    metric.reset()
    for (const [value, count] of totals)
      metric.inc(label === undefined ? {} : { [label]: value }, count)
  }

  #gauge(name: MetricName, gauge: Gauge): void {
    clearMetric(gauge)
    const all = [...this.#subscribers].map((one) => ({ one, stats: one.stats }))
    if (name === 'knell_subscriber_push_up') {
      gauge.set(Number(all.every(({ stats }) => stats.push === 'up')))
    }
    for (const { one, stats } of all) {
      const { service } = one
      if (name === 'knell_subscriber_cache_entries') gauge.inc({ service }, stats.rules)
      if (name === 'knell_subscriber_position') {
        for (const log of logs) gauge.inc({ service, log }, stats.positions[log])
      }
    }
    if (name === 'knell_subscriber_staleness_seconds') this.#staleness(gauge)
  }

  /** Of each service the stalest view; absent while one has no snapshot yet. */
  #staleness(gauge: Gauge): void {
    const worst = new Map<string, number>()
    for (const one of this.#subscribers) {
      for (const tenant of one.tenants) {
        const { staleMs } = one.freshness(tenant)
        worst.set(one.service, Math.max(worst.get(one.service) ?? 0, staleMs))
      }
    }
    for (const [service, ms] of worst) if (Number.isFinite(ms)) gauge.set({ service }, ms / 1000)
  }
}
