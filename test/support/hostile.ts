import { connect, type ConsumeMessage } from 'amqplib'
import { SIGNATURE_HEADER } from '../../shared/signing/detached-jws.ts'

/** Whoever else may publish to the broker: hears everything of a namespace and publishes what it likes. */
export interface Hostile {
  /** Everything heard so far, by routing key. */
  readonly heard: { readonly key: string; readonly body: Buffer; readonly signature: unknown }[]
  publish(
    exchange: 'revocations' | 'expiries' | 'control',
    key: string,
    body: string | Buffer,
    signature?: unknown,
  ): void
  /** Resolves when RabbitMQ has everything. */
  settled(): Promise<void>
  close(): Promise<void>
}

export async function openHostile(url: string, namespace: string): Promise<Hostile> {
  const model = await connect(url, { noDelay: true })
  const channel = await model.createConfirmChannel()
  const heard: Hostile['heard'] = []
  const { queue } = await channel.assertQueue('', { exclusive: true })
  for (const exchange of ['revocations', 'expiries', 'control']) {
    await channel.assertExchange(`${namespace}.${exchange}`, 'topic', { durable: true })
    await channel.bindQueue(queue, `${namespace}.${exchange}`, '#')
  }
  await channel.consume(
    queue,
    (message: ConsumeMessage | null) => {
      if (message === null) return
      const { fields, content, properties } = message
      const signature: unknown = properties.headers?.[SIGNATURE_HEADER]
      heard.push({ key: fields.routingKey, body: content, signature })
    },
    { noAck: true },
  )
  return {
    heard,
    publish(exchange, key, body, signature) {
      const headers = signature === undefined ? {} : { [SIGNATURE_HEADER]: signature }
      channel.publish(`${namespace}.${exchange}`, key, Buffer.from(body as string), { headers })
    },
    settled: () => channel.waitForConfirms(),
    close: () => model.close(),
  }
}
