import type { Channel } from 'amqplib'
import { serviceNamesOf, RETRY_STEPS_MS, type Names } from '../domain/names.ts'
import type { Kind } from '../domain/entry.ts'
import type { Link } from './broker.ts'
import { ensureExchanges, withChannel } from './topology.ts'

/** Deliveries of one message that end without an answer, as a killed instance's do, before it is dead-lettered. */
const DELIVERY_LIMIT = 20
/** Looking at dead letters counts as delivering them, so theirs is out of reach (RabbitMQ 4 would take 20). */
const NO_LIMIT = 1_000_000_000
/** Past this many bytes a queue drops its oldest messages; the sweep sends again what was not handled. */
export const MAX_BYTES = 268_435_456
export const MAX_DEAD_BYTES = 1_073_741_824

export interface QueueSpec {
  readonly name: string
  readonly arguments: Readonly<Record<string, string | number>>
}

export interface BindingSpec {
  readonly queue: string
  readonly exchange: string
  readonly routingKey: string
}

/** What the handlers of one service need of RabbitMQ. */
export interface ServiceTopology {
  readonly queues: readonly QueueSpec[]
  readonly bindings: readonly BindingSpec[]
}

const revocationKinds: ReadonlySet<Kind> = new Set(['revoked', 'held', 'released', 'restored'])

/**
 * The queues and bindings of one service: its quorum queue, one queue of fixed time to live per
 * retry step, its dead letters. Portable from RabbitMQ 3.10 to 4.x.
 */
export function serviceTopologyOf(
  names: Names,
  service: string,
  follows: { readonly tenants: readonly string[]; readonly kinds: readonly Kind[] },
): ServiceTopology {
  const { queue, deadQueue, deadKey, nowKey, resendKey, ...own } = serviceNamesOf(names, service)
  const quorum = { 'x-queue-type': 'quorum' }
  const retries = RETRY_STEPS_MS.map((ttlMs, i) => ({ step: i + 1, ttlMs }))
  return {
    queues: [
      {
        name: queue,
        arguments: {
          ...quorum,
          'x-delivery-limit': DELIVERY_LIMIT,
          'x-dead-letter-exchange': names.dead,
          'x-dead-letter-routing-key': deadKey,
          'x-max-length-bytes': MAX_BYTES,
          'x-overflow': 'drop-head',
        },
      },
      ...retries.map(({ step, ttlMs }) => ({
        name: own.retryQueue(step),
        arguments: {
          ...quorum,
          'x-delivery-limit': DELIVERY_LIMIT,
          'x-message-ttl': ttlMs,
          'x-dead-letter-exchange': names.retry,
          'x-dead-letter-routing-key': nowKey,
          'x-max-length-bytes': MAX_BYTES,
          'x-overflow': 'drop-head',
        },
      })),
      {
        name: deadQueue,
        arguments: {
          ...quorum,
          'x-delivery-limit': NO_LIMIT,
          'x-max-length-bytes': MAX_DEAD_BYTES,
          'x-overflow': 'drop-head',
        },
      },
    ],
    // What catches failures is bound before what can fail.
    bindings: [
      { queue: deadQueue, exchange: names.dead, routingKey: deadKey },
      ...retries.map(({ step }) => ({
        queue: own.retryQueue(step),
        exchange: names.retry,
        routingKey: own.retryKey(step),
      })),
      { queue, exchange: names.retry, routingKey: nowKey },
      { queue, exchange: names.retry, routingKey: resendKey },
      ...follows.tenants.flatMap((tenant) =>
        follows.kinds.map((kind) => ({
          queue,
          exchange: revocationKinds.has(kind) ? names.revocations : names.expiries,
          routingKey: `${tenant}.${kind}`,
        })),
      ),
    ],
  }
}

/**
 * Makes sure that exchanges, queues and bindings are there. A user that may not declare checks that
 * the queues are there and makes the bindings it may; what it may not, a deploy step has made.
 */
export async function ensureService(
  link: Link,
  names: Names,
  { queues, bindings }: ServiceTopology,
): Promise<void> {
  await ensureExchanges(link, names)
  try {
    await withChannel(link, async (channel) => {
      for (const { name, arguments: args } of queues) {
        await channel.assertQueue(name, { durable: true, arguments: args })
      }
      for (const { queue, exchange, routingKey } of bindings) {
        await channel.bindQueue(queue, exchange, routingKey)
      }
    })
  } catch (error) {
    if (!isRefusal(error)) throw error
    // Later versions of RabbitMQ let a user check only what it may use, which are not all of these.
    for (const { name } of queues) {
      await unlessRefused(link, async (channel) => {
        await channel.checkQueue(name)
      })
    }
    for (const { queue, exchange, routingKey } of bindings) {
      await unlessRefused(link, async (channel) => {
        await channel.bindQueue(queue, exchange, routingKey)
      })
    }
  }
}

async function unlessRefused(link: Link, use: (channel: Channel) => Promise<void>): Promise<void> {
  try {
    await withChannel(link, use)
  } catch (error) {
    if (!isRefusal(error)) throw error
  }
}

function isRefusal(error: unknown): boolean {
  return (error as { code?: unknown }).code === 403
}
