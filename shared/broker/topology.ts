import type { Channel } from 'amqplib'
import type { Names } from '../domain/names.ts'
import type { Link } from './broker.ts'

/** The exchanges of Knell: durable topic exchanges, all of them (AMQP 0-9-1, portable from RabbitMQ 3.10 to 4.x). */
export function exchangesOf(names: Names): readonly string[] {
  return [names.revocations, names.expiries, names.control, names.retry, names.dead]
}

/**
 * Makes sure that the exchanges are there. A process whose user may not declare checks passively: a
 * refused declaration closes its channel only, so each way has a channel of its own.
 */
export async function ensureExchanges(link: Link, names: Names): Promise<void> {
  try {
    await withChannel(link, async (channel) => {
      for (const exchange of exchangesOf(names)) {
        await channel.assertExchange(exchange, 'topic', { durable: true })
      }
    })
  } catch (error) {
    if ((error as { code?: unknown }).code !== 403) throw error
    await withChannel(link, async (channel) => {
      for (const exchange of exchangesOf(names)) await channel.checkExchange(exchange)
    })
  }
}

/** Uses a channel of its own, since a refusal closes it. */
export async function withChannel(
  link: Link,
  use: (channel: Channel) => Promise<void>,
): Promise<void> {
  const channel = await link.createChannel({ mayFail: true })
  await use(channel)
  await channel.close()
}

/** The most messages that wait in an instance's queue; older ones are dropped, and the gap is pulled. */
const MAX_QUEUED = 10_000

/** An instance's own queue: exclusive, server-named, gone with its connection. */
export async function declareInstanceQueue(channel: Channel): Promise<string> {
  const { queue } = await channel.assertQueue('', {
    exclusive: true,
    durable: false,
    arguments: { 'x-max-length': MAX_QUEUED, 'x-overflow': 'drop-head' },
  })
  return queue
}
