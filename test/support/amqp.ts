import { connect, type Channel, type ChannelModel, type ConfirmChannel } from 'amqplib'

/** A client of the broker that is no part of Knell: an operator, or somebody hostile. */
export interface AmqpClient {
  readonly model: ChannelModel
  publish(
    exchange: string,
    key: string,
    body: string | Uint8Array,
    headers?: Readonly<Record<string, unknown>>,
  ): Promise<void>
  /** Uses a channel of its own, which may fail. */
  use<T>(use: (channel: Channel) => Promise<T>): Promise<T>
  /** How many messages are ready in a queue. */
  count(queue: string): Promise<number>
  close(): Promise<void>
}

export async function openAmqp(url: string): Promise<AmqpClient> {
  const model = await connect(url, { noDelay: true })
  model.on('error', () => {})
  const confirm: ConfirmChannel = await model.createConfirmChannel()
  const use = async <T>(work: (channel: Channel) => Promise<T>): Promise<T> => {
    const channel = await model.createChannel()
    channel.on('error', () => {})
    const result = await work(channel)
    await channel.close()
    return result
  }
  return {
    model,
    async publish(exchange, key, body, headers = {}) {
      confirm.publish(exchange, key, Buffer.from(body as string), { headers })
      await confirm.waitForConfirms()
    },
    use,
    count: (queue) => use(async (channel) => (await channel.checkQueue(queue)).messageCount),
    close: () => model.close(),
  }
}
