import type { Sample } from '../metrics/collector.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { QueueHealth, QueueReport } from './queue-health.ts'

/** Makes the figures of `GET /v1/queues` part of each scrape. RabbitMQ is asked no more often for it. */
export function addQueueCollector(metrics: Metrics, queueHealth: QueueHealth): void {
  metrics.addCollector({
    names: [
      'knell_queue_messages',
      'knell_queue_consumers',
      'knell_dead_letters',
      'bullmq_job_count',
    ],
    read: async () => queueSamples(await queueHealth.read()),
  })
}

/** The queues of known services only: whoever may declare queues must not add to the labels. */
function queueSamples({ queues, services, bullmq }: QueueReport): Sample[] {
  const known = new Set(services)
  const theirs = queues.filter(({ service }) => known.has(service))
  return [
    ...theirs.flatMap(({ name: queue, messages, consumers }): Sample[] => [
      { name: 'knell_queue_messages', value: messages, labels: { queue } },
      { name: 'knell_queue_consumers', value: consumers, labels: { queue } },
    ]),
    ...theirs.flatMap(({ kind, service, messages }): Sample[] =>
      kind === 'dead' ? [{ name: 'knell_dead_letters', value: messages, labels: { service } }] : [],
    ),
    ...bullmq.flatMap(({ queue, counts }) =>
      Object.entries(counts).map(([state, value]): Sample => {
        return { name: 'bullmq_job_count', value, labels: { queue, state } }
      }),
    ),
  ]
}
