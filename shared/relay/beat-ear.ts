import type { Broker } from '../broker/broker.ts'
import { declareInstanceQueue } from '../broker/topology.ts'
import { parseBeat } from '../domain/beat.ts'
import { parseJson } from '../domain/entry.ts'
import { beatKey, type Names } from '../domain/names.ts'

/** Hears the beats of others, so that a poller beats only when nobody else does. */
export class BeatEar {
  readonly #heard = new Map<string, number>()

  constructor(broker: Broker, names: Names) {
    broker.use(async (link) => {
      const channel = await link.createChannel()
      const queue = await declareInstanceQueue(channel)
      await channel.bindQueue(queue, names.control, beatKey('*'))
      await channel.consume(
        queue,
        (message) => {
          if (message === null) return link.fail(new Error('The queue of beats was cancelled.'))
          try {
            const { tenant } = parseBeat(parseJson(message.content.toString('utf8')))
            this.#heard.set(tenant, performance.now())
          } catch {
            // Whatever it was, it was no beat.
          }
        },
        { noAck: true },
      )
    })
  }

  /** How long ago a beat of this tenant was heard, in ms. */
  silenceMs(tenant: string): number {
    return performance.now() - (this.#heard.get(tenant) ?? Number.NEGATIVE_INFINITY)
  }
}
