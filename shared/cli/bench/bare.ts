import { connect, type Channel, type ChannelModel } from 'amqplib'

/** The floor of everything that travels: amqplib as its own documentation uses it, with Nagle's delay off. */
async function open(url: string): Promise<ChannelModel> {
  const model = await connect(url, { noDelay: true, timeout: 5000 })
  model.on('error', () => {})
  return model
}

/** Goes with its last queue, so that nothing of it stays on a RabbitMQ that was lent. */
async function declare(channel: Channel, exchange: string): Promise<void> {
  channel.on('error', () => {})
  await channel.assertExchange(exchange, 'topic', { durable: true, autoDelete: true })
}

export interface BarePublisher {
  /** Resolves with the confirm. */
  publish(routingKey: string, messageId: string, body: Buffer): Promise<void>
  close(): Promise<void>
}

export async function openBarePublisher(url: string, exchange: string): Promise<BarePublisher> {
  const model = await open(url)
  const channel = await model.createConfirmChannel()
  await declare(channel, exchange)
  return {
    publish: (routingKey, messageId, body) =>
      new Promise((resolve, reject) => {
        const options = { contentType: 'application/json', persistent: true, messageId }
        channel.publish(exchange, routingKey, body, options, (error: unknown) => {
          if (error === null || error === undefined) resolve()
          else reject(error instanceof Error ? error : new Error('RabbitMQ refused a message.'))
        })
      }),
    close: () => model.close(),
  }
}

/** Consumes everything that is published on the exchange. */
export async function openBareConsumer(
  url: string,
  exchange: string,
  onMessage: (messageId: string) => void,
): Promise<void> {
  const model = await open(url)
  const channel = await model.createChannel()
  await declare(channel, exchange)
  const { queue } = await channel.assertQueue('', { exclusive: true, durable: false })
  await channel.bindQueue(queue, exchange, '#')
  await channel.consume(
    queue,
    (message) => {
      if (message !== null) onMessage(String(message.properties.messageId))
    },
    { noAck: true },
  )
}
