import type { Broker, Link } from './broker.ts'

/** Looks at queues without declaring them, which needs no permission. */
export class QueueProbe {
  #link: Link | undefined

  constructor(broker: Broker) {
    broker.use(async (link) => {
      this.#link = link
      return Promise.resolve()
    })
    broker.on('down', () => {
      this.#link = undefined
    })
  }

  /** How many messages wait in a queue, without those that its consumers hold; 0 where it does not exist, undefined where RabbitMQ does not say. */
  async waiting(queue: string): Promise<number | undefined> {
    const link = this.#link
    if (link === undefined) return undefined
    try {
      const channel = await Promise.race([link.dead, link.createChannel({ mayFail: true })])
      const { messageCount } = await Promise.race([link.dead, channel.checkQueue(queue)])
      await Promise.race([link.dead, channel.close()])
      return messageCount
    } catch (error) {
      return (error as { code?: unknown }).code === 404 ? 0 : undefined
    }
  }
}
