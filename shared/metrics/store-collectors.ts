import type { Broker } from '../broker/broker.ts'
import { logs } from '../domain/position.ts'
import type { Population } from '../store/population.ts'
import type { SharedRead } from '../store/shared-read.ts'
import { readStoreHealth } from '../store/store-health.ts'
import type { Store } from '../store/store.ts'
import type { Totals } from '../store/totals.ts'
import type { Sample } from './collector.ts'
import { instanceSamples } from './instance-samples.ts'
import type { Metrics } from './metrics.ts'

/** With a thousand tenants these reads are some ten thousand commands. */
const MANY_AGE_MS = 5000

/** What both processes read of the broker and the store when they are scraped. */
export function addStoreCollectors(
  metrics: Metrics,
  options: {
    readonly store: Store
    readonly broker: Broker
    readonly totals: SharedRead<Totals>
    readonly population: SharedRead<Population>
    readonly tenants: number
  },
): void {
  const { store, broker, totals, population, tenants } = options
  metrics.addCollector({
    names: ['knell_broker_up', 'knell_broker_blocked'],
    maxAgeMs: 0,
    read: () => [
      { name: 'knell_broker_up', value: Number(broker.isUp) },
      { name: 'knell_broker_blocked', value: Number(broker.isBlocked) },
    ],
  })
  metrics.addCollector({
    names: [
      'knell_store_up',
      'knell_store_eviction_policy_ok',
      'knell_store_persistence_ok',
      'knell_store_memory_bytes',
      'knell_store_max_memory_bytes',
    ],
    read: async () => {
      const health = await readStoreHealth(store)
      const isKept = health.isPersistent && health.isWritten
      return [
        { name: 'knell_store_up', value: 1 },
        { name: 'knell_store_eviction_policy_ok', value: Number(health.policy === 'noeviction') },
        { name: 'knell_store_persistence_ok', value: Number(isKept) },
        { name: 'knell_store_memory_bytes', value: health.usedBytes },
        { name: 'knell_store_max_memory_bytes', value: health.maxBytes },
      ]
    },
    otherwise: [{ name: 'knell_store_up', value: 0 }],
  })
  metrics.addCollector({
    names: [
      'knell_feed_tail',
      'knell_outbox_depth',
      'knell_outbox_oldest_age_seconds',
      'knell_tokens_waiting',
      'knell_rules_live',
      'knell_tokens_expired_total',
    ],
    maxAgeMs: tenants > 100 ? MANY_AGE_MS : 2000,
    read: async () => {
      const { logs: ofLog, ...all } = await totals.read(0)
      return [
        ...logs.flatMap((log): Sample[] => {
          const { tail, unsent, oldestMs } = ofLog[log]
          return [
            { name: 'knell_feed_tail', value: tail, labels: { log } },
            { name: 'knell_outbox_depth', value: unsent, labels: { log } },
            {
              name: 'knell_outbox_oldest_age_seconds',
              value: oldestMs / 1000,
              labels: { log },
            },
          ]
        }),
        { name: 'knell_tokens_waiting', value: all.waiting },
        { name: 'knell_rules_live', value: all.rules },
        { name: 'knell_tokens_expired_total', value: all.expired },
      ]
    },
  })
  metrics.addCollector({
    names: [
      'knell_subscriber_instances',
      'knell_subscriber_staleness_seconds',
      'knell_subscriber_lag_entries',
    ],
    maxAgeMs: MANY_AGE_MS,
    read: async () => instanceSamples((await population.read(0)).seen),
  })
}
