import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { Collection, type Collector } from './collector.ts'
import { clearMetric, makeMetric, type Made } from './make-metric.ts'
import { metricsAt, type MetricName, type MetricPlace } from './metrics-table.ts'

type Labels = Readonly<Record<string, string | number>>

/**
 * The metrics of one process: all that the table says of its place, none else. What happens is
 * counted as it happens; what is a state is read when somebody scrapes, by collectors.
 */
export class Metrics {
  readonly registry: Registry = new Registry()
  readonly #made = new Map<MetricName, Made>()
  readonly #collections: Collection[] = []

  constructor(place: MetricPlace) {
    for (const name of metricsAt(place)) this.#made.set(name, makeMetric(name, this.registry))
  }

  /** What the text of a scrape is: `text/plain; version=0.0.4`. */
  get contentType(): string {
    return this.registry.contentType
  }

  /** Adds what Node and the operating system know of this process. */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.registry })
  }

  /** Counts. @throws TypeError for a metric that is no counter of this place */
  count(name: MetricName, labels: Labels = {}, by = 1): void {
    const counter = this.#made.get(name)
    if (!(counter instanceof Counter)) throw new TypeError(`${name} is no counter here.`)
    counter.inc(labels, by)
  }

  /** Puts a value into a histogram. @throws TypeError for a metric that is no histogram of this place */
  observe(name: MetricName, value: number, labels: Labels = {}): void {
    const histogram = this.#made.get(name)
    if (!(histogram instanceof Histogram)) throw new TypeError(`${name} is no histogram here.`)
    histogram.observe(labels, value)
  }

  /** Sets a gauge that no collector sets. @throws TypeError for a metric that is no gauge of this place */
  set(name: MetricName, value: number, labels: Labels = {}): void {
    const gauge = this.#made.get(name)
    if (!(gauge instanceof Gauge)) throw new TypeError(`${name} is no gauge here.`)
    gauge.set(labels, value)
  }

  /** From now on each scrape asks this too. To be called once per metric. @throws TypeError for a metric that is not of this place */
  addCollector(collector: Collector): void {
    for (const name of collector.names) {
      const metric = this.#made.get(name)
      if (metric === undefined) throw new TypeError(`${name} is no metric here.`)
      clearMetric(metric)
    }
    this.#collections.push(new Collection(collector))
  }

  /** All metrics in Prometheus's text format. Never fails or hangs for a store or broker that is away. */
  async text(): Promise<string> {
    await Promise.all(this.#collections.map((collection) => this.#collect(collection)))
    return this.registry.metrics()
  }

  async #collect(collection: Collection): Promise<void> {
    const samples = await collection.samples()
    for (const name of collection.collector.names) clearMetric(this.#made.get(name))
    for (const { name, value, labels = {} } of samples) {
      const metric = this.#made.get(name)
      // A counter may be read from elsewhere, too, such as the store.
      if (metric instanceof Counter) metric.inc(labels, value)
      if (metric instanceof Gauge) metric.set(labels, value)
    }
  }
}
