import { kindsOfLog } from '../domain/entry.ts'
import { bullQueueNames } from '../domain/names.ts'
import { logs } from '../domain/position.ts'
import { refreshOutcomes } from '../domain/family.ts'
import { recoveredKinds } from './recovered.ts'

/** Who exposes a metric: a process of Knell, or a consuming service that mounts `knell/metrics`. */
export type MetricPlace = 'notifier' | 'poller' | 'service'

export type MetricName =
  | 'knell_build_info'
  | 'knell_http_requests_total'
  | 'knell_http_request_seconds'
  | 'knell_revocations_accepted_total'
  | 'knell_tokens_registered_total'
  | 'knell_tokens_rejected_total'
  | 'knell_tokens_issued_total'
  | 'knell_refreshes_total'
  | 'knell_events_published_total'
  | 'knell_events_returned_total'
  | 'knell_events_nacked_total'
  | 'knell_publish_confirm_seconds'
  | 'knell_push_seconds'
  | 'knell_revocation_enforced_seconds'
  | 'knell_feed_tail'
  | 'knell_outbox_depth'
  | 'knell_outbox_oldest_age_seconds'
  | 'knell_tokens_expired_total'
  | 'knell_tokens_waiting'
  | 'knell_rules_live'
  | 'knell_sweep_duration_seconds'
  | 'knell_sweep_recovered_total'
  | 'knell_sweep_recovered_tokens_total'
  | 'knell_sweep_last_success_timestamp_seconds'
  | 'knell_broker_up'
  | 'knell_broker_blocked'
  | 'knell_store_up'
  | 'knell_store_eviction_policy_ok'
  | 'knell_store_persistence_ok'
  | 'knell_store_memory_bytes'
  | 'knell_store_max_memory_bytes'
  | 'knell_queue_messages'
  | 'knell_queue_consumers'
  | 'knell_dead_letters'
  | 'bullmq_job_count'
  | 'knell_subscriber_instances'
  | 'knell_subscriber_staleness_seconds'
  | 'knell_subscriber_lag_entries'
  | 'knell_revocation_propagation_seconds'
  | 'knell_subscriber_cache_entries'
  | 'knell_subscriber_position'
  | 'knell_subscriber_checks_total'
  | 'knell_subscriber_rejected_events_total'
  | 'knell_subscriber_push_up'
  | 'knell_subscriber_pulls_total'
  | 'knell_subscriber_snapshots_total'
  | 'knell_handler_events_total'
  | 'knell_handler_seconds'

export interface MetricRow {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  /** Each label with every value it may have, or with a word on what bounds them. */
  readonly labels?: Readonly<Record<string, readonly string[] | string>>
  readonly where: readonly MetricPlace[]
  /** Upper bounds of a histogram's buckets, in the unit of its name. */
  readonly buckets?: readonly number[]
}

const both: readonly MetricPlace[] = ['notifier', 'poller']
const log: readonly string[] = logs
const types = Object.values(kindsOfLog).flatMap((kinds) => kinds.map((kind) => `knell.${kind}`))
const service = 'the services that subscribe; past 100 of them the rest are one, `_other`'

const own = 'the service of the subscriber'
const queue = 'seven for each service with handlers, of the first 70 services by name'

/** From half a millisecond to a minute: what is fast is told apart as well as what is late. */
const LATENCY: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
]
const DURATION: readonly number[] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/**
 * Every metric of Knell. The registries are made from it and docs/metrics.md is held to it, both
 * ways. A label has few values that no token, subject or tenant can add to.
 */
export const metricsTable: Readonly<Record<MetricName, MetricRow>> = {
  knell_build_info: {
    type: 'gauge',
    help: 'Always 1: which version of Knell this process is, and of which kind.',
    labels: { version: 'one per process', kind: both },
    where: both,
  },
  knell_http_requests_total: {
    type: 'counter',
    help: 'Calls answered, by the pattern of their route.',
    labels: {
      method: 'the methods of HTTP',
      route: 'the patterns of docs/http-api.md; what is none of them is `none`',
      status: 'the status codes of docs/errors.md',
    },
    where: both,
  },
  knell_http_request_seconds: {
    type: 'histogram',
    help: 'Time from the arrival of a call to the end of its answer; a long poll or wait takes as long as it was asked to.',
    labels: { route: 'as of knell_http_requests_total' },
    where: both,
    buckets: LATENCY,
  },
  knell_revocations_accepted_total: {
    type: 'counter',
    help: 'Calls by which this process committed a revocation, hold, release, restore or schedule.',
    labels: { kind: ['revoked', 'held', 'released', 'restored', 'scheduled'] },
    where: both,
  },
  knell_tokens_registered_total: {
    type: 'counter',
    help: 'Tokens that this process registered.',
    where: both,
  },
  knell_tokens_rejected_total: {
    type: 'counter',
    help: 'Tokens that were sent to be registered and were refused.',
    where: both,
  },
  knell_tokens_issued_total: {
    type: 'counter',
    help: 'Access tokens that this process signed.',
    where: ['notifier'],
  },
  knell_refreshes_total: {
    type: 'counter',
    help: 'Refresh tokens that came to this process, by what became of them. Of repeated ones the answer was lost, or two came at once; a reused one has ended its session.',
    labels: { outcome: refreshOutcomes },
    where: ['notifier'],
  },
  knell_events_published_total: {
    type: 'counter',
    help: 'Entries of the feed, of 1 to 500 events each, that RabbitMQ confirmed to this process.',
    labels: { type: types },
    where: both,
  },
  knell_events_returned_total: {
    type: 'counter',
    help: 'Confirmed entries for which no queue was bound.',
    labels: { type: types },
    where: both,
  },
  knell_events_nacked_total: {
    type: 'counter',
    help: 'Entries that RabbitMQ refused, or did not confirm before the connection or the time was up; they are published again.',
    where: both,
  },
  knell_publish_confirm_seconds: {
    type: 'histogram',
    help: 'Time from publishing an entry to its confirm.',
    where: both,
    buckets: LATENCY,
  },
  knell_push_seconds: {
    type: 'histogram',
    help: 'Time from the commit of an entry of revocations, by whichever process, until this notifier heard it back from RabbitMQ.',
    where: ['notifier'],
    buckets: LATENCY,
  },
  knell_revocation_enforced_seconds: {
    type: 'histogram',
    help: 'Time from the commit of an entry of revocations until every live instance had said to have applied it. Of entries that asked for acks: one per beat interval and notifier, and each that somebody waited for.',
    where: ['notifier'],
    buckets: LATENCY,
  },
  knell_feed_tail: {
    type: 'gauge',
    help: 'The last position of the feed, summed over shards and tenants; it grows by one per entry, and starts again with a new term.',
    labels: { log },
    where: both,
  },
  knell_outbox_depth: {
    type: 'gauge',
    help: 'Entries in the store that RabbitMQ has not confirmed.',
    labels: { log },
    where: both,
  },
  knell_outbox_oldest_age_seconds: {
    type: 'gauge',
    help: 'How long ago the oldest of them was committed; 0 where there is none.',
    labels: { log },
    where: both,
  },
  knell_tokens_expired_total: {
    type: 'counter',
    help: 'Tokens announced as expired, by all processes together, as the store counts them.',
    where: both,
  },
  knell_tokens_waiting: {
    type: 'gauge',
    help: 'Registered tokens that wait for their expiry.',
    where: both,
  },
  knell_rules_live: {
    type: 'gauge',
    help: 'Rules that the store keeps, those included that were lifted and are kept until no token needs them.',
    where: both,
  },
  knell_sweep_duration_seconds: {
    type: 'histogram',
    help: 'How long the sweeps of this process took.',
    where: ['poller'],
    buckets: DURATION,
  },
  knell_sweep_recovered_total: {
    type: 'counter',
    help: 'What the sweeps of this process found that the push path, or a service, had missed.',
    labels: { what: recoveredKinds },
    where: ['poller'],
  },
  knell_sweep_recovered_tokens_total: {
    type: 'counter',
    help: 'Tokens whose expiry a sweep of this process announced since no tick had.',
    where: ['poller'],
  },
  knell_sweep_last_success_timestamp_seconds: {
    type: 'gauge',
    help: 'When a sweep of this process last ended well, in Unix time; absent before the first.',
    where: ['poller'],
  },
  knell_broker_up: {
    type: 'gauge',
    help: '1 while this process is connected to RabbitMQ, else 0.',
    where: both,
  },
  knell_broker_blocked: {
    type: 'gauge',
    help: '1 while RabbitMQ blocks this process from publishing, else 0.',
    where: both,
  },
  knell_store_up: {
    type: 'gauge',
    help: '1 where Redis answered this scrape, else 0.',
    where: both,
  },
  knell_store_eviction_policy_ok: {
    type: 'gauge',
    help: '1 where Redis deletes nothing to make room (maxmemory-policy noeviction), else 0.',
    where: both,
  },
  knell_store_persistence_ok: {
    type: 'gauge',
    help: '1 where Redis writes an append-only file and its last write succeeded, else 0.',
    where: both,
  },
  knell_store_memory_bytes: {
    type: 'gauge',
    help: 'Memory that Redis uses, over all primaries.',
    where: both,
  },
  knell_store_max_memory_bytes: {
    type: 'gauge',
    help: 'Memory that Redis may use, over all primaries; 0 where there is no limit.',
    where: both,
  },
  knell_queue_messages: {
    type: 'gauge',
    help: 'Messages in a queue of RabbitMQ that belongs to a service with handlers; where only AMQP tells of it, without those that consumers hold.',
    labels: { queue },
    where: both,
  },
  knell_queue_consumers: {
    type: 'gauge',
    help: 'Consumers of a queue of RabbitMQ that belongs to a service with handlers.',
    labels: { queue },
    where: both,
  },
  knell_dead_letters: {
    type: 'gauge',
    help: 'Events that the handlers of a service gave up and nobody has replayed or dropped.',
    labels: { service: 'the services of knell_queue_messages' },
    where: both,
  },
  bullmq_job_count: {
    type: 'gauge',
    help: 'Jobs in a queue of BullMQ, by state.',
    labels: { queue: Object.values(bullQueueNames), state: 'the states of BullMQ' },
    where: both,
  },
  knell_subscriber_instances: {
    type: 'gauge',
    help: 'Instances that the store knows of, by what they last said; gone is one that has been silent for longer than it may let tokens in.',
    labels: { service, state: ['joining', 'ready', 'stale', 'gone'] },
    where: both,
  },
  knell_subscriber_staleness_seconds: {
    type: 'gauge',
    help: 'The age of the newest store state that the stalest live view of a service has said to contain; in a service, that its own stalest view contains.',
    labels: { service },
    where: [...both, 'service'],
  },
  knell_subscriber_lag_entries: {
    type: 'gauge',
    help: 'Entries of revocations that the slowest live view of a service has not said to have applied.',
    labels: { service },
    where: both,
  },
  knell_revocation_propagation_seconds: {
    type: 'histogram',
    help: 'Time from the commit of an entry of revocations until it changed the view, pushed or pulled, by the view’s idea of the store’s clock.',
    where: ['service'],
    buckets: LATENCY,
  },
  knell_subscriber_cache_entries: {
    type: 'gauge',
    help: 'Rules in the view.',
    labels: { service: own },
    where: ['service'],
  },
  knell_subscriber_position: {
    type: 'gauge',
    help: 'The highest contiguous position of the view, summed over shards and tenants; of expiries only where they are listened to.',
    labels: { service: own, log },
    where: ['service'],
  },
  knell_subscriber_checks_total: {
    type: 'counter',
    help: 'Decisions, by their code.',
    labels: { code: 'the codes of decisions in docs/http-api.md' },
    where: ['service'],
  },
  knell_subscriber_rejected_events_total: {
    type: 'counter',
    help: 'Messages that were dropped: they follow no contract, or are not to be believed.',
    labels: { reason: ['invalid', 'unsigned', 'altered', 'foreign', 'replayed'] },
    where: ['service'],
  },
  knell_subscriber_push_up: {
    type: 'gauge',
    help: '1 while the push path is connected, else 0.',
    where: ['service'],
  },
  knell_subscriber_pulls_total: {
    type: 'counter',
    help: 'Pulls of the feed that were answered, the regular ones that renew the clock among them.',
    where: ['service'],
  },
  knell_subscriber_snapshots_total: {
    type: 'counter',
    help: 'Snapshots that were applied.',
    where: ['service'],
  },
  knell_handler_events_total: {
    type: 'counter',
    help: 'Events that came to the handlers of this instance, by what became of them.',
    labels: { outcome: ['handled', 'retried', 'dead', 'postponed'] },
    where: ['service'],
  },
  knell_handler_seconds: {
    type: 'histogram',
    help: 'How long handlers ran, whatever came of it.',
    where: ['service'],
    buckets: DURATION,
  },
}

/** The names of the metrics that a place exposes. */
export function metricsAt(place: MetricPlace): MetricName[] {
  return (Object.keys(metricsTable) as MetricName[]).filter((name) =>
    metricsTable[name].where.includes(place),
  )
}
