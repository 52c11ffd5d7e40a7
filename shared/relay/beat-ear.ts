import type { Broker } from '../broker/broker.ts'
import { declareInstanceQueue } from '../broker/topology.ts'
import { parseBeat } from '../domain/beat.ts'
import { parseJson } from '../domain/entry.ts'
import { beatKey, type Names } from '../domain/names.ts'
import { SIGNATURE_HEADER } from '../signing/detached-jws.ts'
import type { EventVerifier } from '../signing/event-verifier.ts'

/**
 * Hears the beats of others, so that a poller beats only when nobody else does. With a verifier it
 * hears only signed ones, each newer than the last: nobody else can silence the poller.
 */
export class BeatEar {
  readonly #heard = new Map<string, number>()
  readonly #newest = new Map<string, number>()

  constructor(broker: Broker, names: Names, verifier?: EventVerifier) {
    broker.use(async (link) => {
      const channel = await link.createChannel()
      const queue = await declareInstanceQueue(channel)
      await channel.bindQueue(queue, names.control, beatKey('*'))
      await channel.consume(
        queue,
        (message) => {
          if (message === null) return link.fail(new Error('The queue of beats was cancelled.'))
          try {
            const { content, properties } = message
            const signature: unknown = properties.headers?.[SIGNATURE_HEADER]
            if (verifier && verifier.verify('beat', content, signature) !== 'good') return
            const { tenant, at } = parseBeat(parseJson(content.toString('utf8')))
            if (verifier && at <= (this.#newest.get(tenant) ?? 0)) return
            this.#newest.set(tenant, at)
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
