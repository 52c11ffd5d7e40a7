import type { Broker, Link } from './broker.ts'

/** A blocked connection is not read by RabbitMQ, so an answer may never come. */
const ANSWER_MS = 3000

/** What RabbitMQ says of a queue. `unknown`: it does not say, or is away. */
export type Looked =
  | { readonly word: 'there'; readonly ready: number; readonly consumers: number }
  | { readonly word: 'missing' | 'refused' | 'unknown' }

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

  /** How full a queue is and how many consume it. Its messages are those that wait, without those that consumers hold. */
  async look(queue: string): Promise<Looked> {
    const link = this.#link
    if (link === undefined) return { word: 'unknown' }
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<Looked>((resolve) => {
      timer = setTimeout(() => resolve({ word: 'unknown' }), ANSWER_MS)
    })
    try {
      return await Promise.race([link.dead, late, lookAt(link, queue)])
    } catch (error) {
      const { code } = error as { code?: unknown }
      return { word: code === 404 ? 'missing' : code === 403 ? 'refused' : 'unknown' }
    } finally {
      clearTimeout(timer)
    }
  }

  /** How many messages wait in a queue, without those that its consumers hold; 0 where it does not exist, undefined where RabbitMQ does not say. */
  async waiting(queue: string): Promise<number | undefined> {
    const looked = await this.look(queue)
    if (looked.word === 'there') return looked.ready
    return looked.word === 'missing' ? 0 : undefined
  }
}

async function lookAt(link: Link, queue: string): Promise<Looked> {
  const channel = await link.createChannel({ mayFail: true })
  const { messageCount, consumerCount } = await channel.checkQueue(queue)
  await channel.close()
  return { word: 'there', ready: messageCount, consumers: consumerCount }
}
