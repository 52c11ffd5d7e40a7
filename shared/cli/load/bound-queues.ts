import { connect, type ChannelModel } from 'amqplib'
import { serve } from '../bench/serve.ts'

/** Many queues that are bound and consumed as views are, without the views. */

export interface BoundOptions {
  readonly amqpUrl: string
  readonly exchange: string
  readonly routingKey: string
  readonly queues: number
}

/** Views have a connection each; here so many share one, on a channel each. */
const PER_CONNECTION = 200

let [open, received] = [0, 0]
let model: ChannelModel | undefined

const methods = {
  /** Adds queues until there are so many. */
  async grow({ amqpUrl, exchange, routingKey, queues }: BoundOptions): Promise<void> {
    for (; open < queues; open++) {
      if (open % PER_CONNECTION === 0 || model === undefined) {
        model = await connect(amqpUrl, { noDelay: true, timeout: 10_000 })
        model.on('error', () => {})
      }
      const channel = await model.createChannel()
      const { queue } = await channel.assertQueue('', { exclusive: true, durable: false })
      await channel.bindQueue(queue, exchange, routingKey)
      await channel.consume(
        queue,
        () => {
          received += 1
        },
        { noAck: true },
      )
    }
  },

  received: (): number => received,
}

export type BoundQueues = typeof methods

serve(methods)
