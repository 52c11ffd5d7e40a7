import type { HttpTarget } from '../config/rabbit-urls.ts'
import type { Names } from '../domain/names.ts'
import { boundedGet } from './bounded-get.ts'
import {
  countsOf,
  failedOffer,
  MAX_QUEUES,
  notOffered,
  OFFERED,
  type QueueCount,
  type SourceReading,
} from './queue-count.ts'
import { readSamples } from './samples.ts'

const ALARMS: Readonly<Record<string, string>> = {
  rabbitmq_alarms_memory_used_watermark: 'memory',
  rabbitmq_alarms_free_disk_space_watermark: 'disk',
  rabbitmq_alarms_file_descriptor_limit: 'file descriptors',
}
const NOTHING = { counts: [], more: false, alarms: undefined }

/**
 * Reads the queues of the namespace, and the alarms, from RabbitMQ's Prometheus plugin. A node of a
 * cluster tells of the queues that it leads only. Never throws.
 */
export async function readPrometheus(
  names: Names,
  { url, login, vhost }: HttpTarget,
): Promise<SourceReading> {
  const base = url.pathname.replace(/\/(metrics\/?)?$/, '')
  const detailed = new URL(`${base}/metrics/detailed`, url)
  detailed.search = new URLSearchParams([
    ['family', 'queue_coarse_metrics'],
    ['family', 'queue_consumer_count'],
    ['vhost', vhost],
  ]).toString()
  const [queues, all] = await Promise.all([
    boundedGet(detailed, { login }),
    boundedGet(new URL(`${base}/metrics`, url), { login }),
  ])
  if (queues.word !== 'ok') {
    const offer = queues.word === 'absent' ? notOffered(queues.why) : failedOffer(queues.why)
    return { ...NOTHING, offer, alarmOffer: offer }
  }
  const counts = countsIn(names, vhost, queues.text)
  const alarms = all.word === 'ok' ? alarmsIn(all.text) : undefined
  const isAnswer = queues.text.startsWith('#') || queues.text.trim() === ''
  if (!isAnswer) {
    const offer = failedOffer('the answer is not that of RabbitMQ’s Prometheus plugin')
    return { ...NOTHING, offer, alarmOffer: offer }
  }
  return {
    offer: OFFERED,
    counts: counts.slice(0, MAX_QUEUES),
    more: counts.length > MAX_QUEUES,
    alarms,
    alarmOffer: alarms === undefined ? notOffered('it tells of no alarms') : OFFERED,
  }
}

function countsIn(names: Names, vhost: string, text: string): QueueCount[] {
  const found = new Map<string, Record<string, number>>()
  for (const { name, labels, value } of readSamples(text)) {
    const queue = labels['queue']
    if (queue === undefined || labels['vhost'] !== vhost) continue
    const figures = found.get(queue) ?? {}
    figures[name.replace('rabbitmq_detailed_queue_', '')] = value
    found.set(queue, figures)
  }
  return [...found].flatMap(([queue, figures]) => {
    const { messages, messages_ready: ready, messages_unacked: unacked, consumers } = figures
    return countsOf(names, queue, { messages, ready, unacked, consumers }, 'prometheus')
  })
}

/** Undefined where none of the gauges is there. */
function alarmsIn(text: string): string[] | undefined {
  const gauges = readSamples(text).filter(({ name }) => ALARMS[name] !== undefined)
  if (gauges.length === 0) return undefined
  return gauges.flatMap(({ name, value }) => (value > 0 ? [ALARMS[name] ?? name] : []))
}
