import pLimit from 'p-limit'
import type { Broker } from '../broker/broker.ts'
import { QueueProbe, type Looked } from '../broker/queue-probe.ts'
import type { HttpTarget } from '../config/rabbit-urls.ts'
import type { Names } from '../domain/names.ts'
import { readManagement } from './management-reader.ts'
import { readPrometheus } from './prometheus-reader.ts'
import {
  MAX_QUEUES,
  notOffered,
  type Offer,
  type QueueCount,
  type SourceReading,
} from './queue-count.ts'
import { queuesOf, type NamedQueue } from './queue-names.ts'

/** RabbitMQ gathers its own figures no faster, so asking more often would only cost. */
export const RABBIT_MAX_AGE_MS = 10_000
/** Seven queues each, these keep within the most queues that are told of. */
const MAX_SERVICES = 70
const PROBES_AT_ONCE = 8

export interface RabbitReading {
  /** When this was read, on this process's clock. */
  readonly readAt: number
  readonly counts: readonly QueueCount[]
  /** Queues of known services that RabbitMQ does not have. */
  readonly missing: readonly NamedQueue[]
  /** Queues of known services of which nothing could be learned. */
  readonly unknown: readonly NamedQueue[]
  /** Services past the most that are looked at. */
  readonly leftOut: number
  /** Whether RabbitMQ has more queues of this namespace than are told of. */
  readonly more: boolean
  /** Alarms in force; undefined where nothing tells of them. */
  readonly alarms: readonly string[] | undefined
  readonly offered: Readonly<Record<'management' | 'prometheus' | 'alarms', Offer>>
}

const NOT_CONFIGURED: SourceReading = {
  offer: notOffered('not configured'),
  counts: [],
  more: false,
  alarms: undefined,
  alarmOffer: notOffered('not configured'),
}

/**
 * How full the queues of the namespace are. Each is told of by the first source that knows it: the
 * management API, the Prometheus plugin, else a passive declaration on the process's own connection.
 */
export class RabbitReader {
  readonly #broker: Broker
  readonly #names: Names
  readonly #probe: QueueProbe
  readonly #management: HttpTarget | undefined
  readonly #prometheus: HttpTarget | undefined

  constructor(options: {
    broker: Broker
    names: Names
    management?: HttpTarget | undefined
    prometheus?: HttpTarget | undefined
  }) {
    this.#broker = options.broker
    this.#names = options.names
    this.#probe = new QueueProbe(options.broker)
    this.#management = options.management
    this.#prometheus = options.prometheus
  }

  /** `services`: those whose queues there should be. Never throws for a broker that is away. */
  async read(services: readonly string[]): Promise<RabbitReading> {
    const [management, prometheus] = await Promise.all([
      this.#management === undefined
        ? NOT_CONFIGURED
        : readManagement(this.#names, this.#management),
      this.#prometheus === undefined
        ? NOT_CONFIGURED
        : readPrometheus(this.#names, this.#prometheus),
    ])
    const counts = new Map<string, QueueCount>()
    for (const count of [...management.counts, ...prometheus.counts]) {
      if (!counts.has(count.name)) counts.set(count.name, count)
    }
    const sorted = [...services].sort()
    const wanted = sorted.slice(0, MAX_SERVICES).flatMap((name) => queuesOf(this.#names, name))
    const looked = await this.#lookAll(wanted.filter(({ name }) => !counts.has(name)))
    for (const [queue, { word, ...found }] of looked) {
      if (word !== 'there' || !('ready' in found)) continue
      const { ready, consumers } = found
      counts.set(queue.name, { ...queue, messages: ready, ready, consumers, source: 'amqp' })
    }
    const said = (...words: Looked['word'][]): NamedQueue[] =>
      looked.flatMap(([queue, { word }]) => (words.includes(word) ? [queue] : []))
    const all = [...counts.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    const alarms = management.alarms ?? prometheus.alarms
    return {
      readAt: Date.now(),
      counts: all.slice(0, MAX_QUEUES),
      missing: said('missing'),
      unknown: said('refused', 'unknown'),
      leftOut: Math.max(0, services.length - MAX_SERVICES),
      more: management.more || prometheus.more || all.length > MAX_QUEUES,
      alarms,
      offered: {
        management: management.offer,
        prometheus: prometheus.offer,
        alarms:
          management.alarms === undefined && this.#prometheus !== undefined
            ? prometheus.alarmOffer
            : management.alarmOffer,
      },
    }
  }

  async #lookAll(queues: readonly NamedQueue[]): Promise<(readonly [NamedQueue, Looked])[]> {
    const atOnce = pLimit(PROBES_AT_ONCE)
    let isSilent = false
    return Promise.all(
      queues.map((queue) =>
        atOnce(async () => {
          // RabbitMQ does not read a connection that it has blocked; and one silence stands for all.
          const skips = isSilent || !this.#broker.isUp || this.#broker.isBlocked
          const looked: Looked = skips ? { word: 'unknown' } : await this.#probe.look(queue.name)
          if (looked.word === 'unknown') isSilent = true
          return [queue, looked] as const
        }),
      ),
    )
  }
}
