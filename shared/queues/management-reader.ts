import { z } from 'zod'
import type { HttpTarget } from '../config/rabbit-urls.ts'
import type { Names } from '../domain/names.ts'
import { boundedGet, type Got } from './bounded-get.ts'
import {
  countsOf,
  failedOffer,
  MAX_QUEUES,
  notOffered,
  OFFERED,
  type Offer,
  type SourceReading,
} from './queue-count.ts'
import { queuePrefixOf } from './queue-names.ts'

const count = z.int().min(0)
const queuesPage = z.object({
  page_count: z.number(),
  items: z.array(
    z.object({
      name: z.string(),
      // Absent until the queue has told its first figures.
      messages: count.optional(),
      messages_ready: count.optional(),
      messages_unacknowledged: count.optional(),
      consumers: count.optional(),
    }),
  ),
})
const alarmsAnswer = z.object({
  status: z.string(),
  alarms: z
    .array(z.object({ node: z.string().optional(), resource: z.string().optional() }))
    .optional(),
})

/** Reads the queues of the namespace, and RabbitMQ's alarms, from the management API. Never throws. */
export async function readManagement(
  names: Names,
  { url, login, vhost }: HttpTarget,
): Promise<SourceReading> {
  const at = (path: string): URL => new URL(`${url.pathname.replace(/\/$/, '')}/api/${path}`, url)
  const queues = at(`queues/${encodeURIComponent(vhost)}`)
  const columns = 'name,messages,messages_ready,messages_unacknowledged,consumers'
  queues.search = new URLSearchParams({
    name: `^${queuePrefixOf(names).replaceAll('.', '\\.')}`,
    use_regex: 'true',
    page: '1',
    page_size: `${MAX_QUEUES}`,
    columns,
  }).toString()
  const [page, alarms] = await Promise.all([
    boundedGet(queues, { login }),
    // An alarm is told by this status, and the body says which.
    boundedGet(at('health/checks/alarms'), { login, accepts: [503] }),
  ])
  return { ...readQueues(names, page), ...readAlarms(alarms) }
}

function readQueues(names: Names, got: Got): Pick<SourceReading, 'offer' | 'counts' | 'more'> {
  if (got.word !== 'ok') return { offer: offerOf(got), counts: [], more: false }
  const page = queuesPage.safeParse(parse(got.text))
  if (!page.success) {
    return {
      offer: failedOffer('the answer is not that of a management API'),
      counts: [],
      more: false,
    }
  }
  const counts = page.data.items.flatMap((item) => {
    const { messages, messages_ready: ready, messages_unacknowledged: unacked, consumers } = item
    return countsOf(names, item.name, { messages, ready, unacked, consumers }, 'management')
  })
  return { offer: OFFERED, counts, more: page.data.page_count > 1 }
}

function readAlarms(got: Got): Pick<SourceReading, 'alarms' | 'alarmOffer'> {
  if (got.word !== 'ok') return { alarms: undefined, alarmOffer: offerOf(got) }
  const answer = alarmsAnswer.safeParse(parse(got.text))
  if (!answer.success) {
    return { alarms: undefined, alarmOffer: failedOffer('the answer on alarms is not readable') }
  }
  const { status, alarms = [] } = answer.data
  const found = alarms.map(({ node, resource }) =>
    [resource ?? 'unknown', ...(node === undefined ? [] : [`on ${node}`])].join(' '),
  )
  const named = [...new Set(found)].slice(0, 20)
  if (status === 'ok') return { alarms: [], alarmOffer: OFFERED }
  return { alarms: named.length > 0 ? named : ['unknown'], alarmOffer: OFFERED }
}

function offerOf(got: Exclude<Got, { word: 'ok' }>): Offer {
  return got.word === 'absent' ? notOffered(got.why) : failedOffer(got.why)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
