import type { ConsumeMessage } from 'amqplib'
import { namesOf } from '../../shared/domain/names.ts'
import { exchangesOf } from '../../shared/broker/topology.ts'
import { openAmqp } from './amqp.ts'

export interface Captured {
  /** Without its namespace: `revocations`. */
  readonly exchange: string
  readonly routingKey: string
  readonly properties: ConsumeMessage['properties']
  readonly body: unknown
}

export interface Capture {
  readonly messages: readonly Captured[]
  close(): Promise<void>
}

/** Hears everything that a system of this namespace publishes for subscribers. */
export async function captureMessages(url: string, namespace: string): Promise<Capture> {
  const client = await openAmqp(url)
  const channel = await client.model.createChannel()
  const messages: Captured[] = []
  const names = namesOf(namespace)
  for (const exchange of exchangesOf(names)) {
    await channel.assertExchange(exchange, 'topic', { durable: true })
  }
  const { queue } = await channel.assertQueue('', { exclusive: true })
  for (const exchange of [names.revocations, names.expiries, names.control]) {
    await channel.bindQueue(queue, exchange, '#')
  }
  await channel.consume(
    queue,
    (message) => {
      if (message === null) return
      messages.push({
        exchange: message.fields.exchange.slice(namespace.length + 1),
        routingKey: message.fields.routingKey,
        properties: message.properties,
        body: JSON.parse(message.content.toString('utf8')) as unknown,
      })
    },
    { noAck: true },
  )
  return { messages, close: () => client.close() }
}
