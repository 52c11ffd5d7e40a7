import type { ConsumeMessage } from 'amqplib'
import { EventEmitter } from 'node:events'
import type { Logger } from 'pino'
import type { Broker, Link } from '../shared/broker/broker.ts'
import { declareInstanceQueue } from '../shared/broker/topology.ts'
import {
  MAX_ENTRY_BYTES,
  parseJson,
  parseOutline,
  type EntryOutline,
} from '../shared/domain/entry.ts'
import type { Names } from '../shared/domain/names.ts'
import { SIGNATURE_HEADER } from '../shared/signing/detached-jws.ts'
import type { EventVerifier } from '../shared/signing/event-verifier.ts'

interface RevocationEarEvents {
  heard: [EntryOutline]
}

/** So many signatures are verified per second; of what comes beyond that nothing is measured. */
const MAX_VERIFIED = 500
const SECOND_MS = 1000
const ACCESS_REFUSED = 403

/**
 * Hears the revocations that all notifiers publish, as a service would, so that each notifier knows
 * how long the push path takes, whoever committed. Nothing rests on it: where its user may not read
 * the exchange it stays deaf, and says so once.
 */
export class RevocationEar extends EventEmitter<RevocationEarEvents> {
  readonly #names: Names
  readonly #verifier: EventVerifier | undefined
  readonly #log: Logger
  #isWarned = false
  #verified = 0
  #since = 0
  readonly stats = { heard: 0, refused: 0, skipped: 0 }

  constructor(options: {
    broker: Broker
    names: Names
    verifier: EventVerifier | undefined
    log: Logger
  }) {
    super()
    this.#names = options.names
    this.#verifier = options.verifier
    this.#log = options.log
    options.broker.use((link) => this.#listen(link))
  }

  async #listen(link: Link): Promise<void> {
    try {
      const channel = await link.createChannel({ mayFail: true })
      const queue = await declareInstanceQueue(channel)
      await channel.bindQueue(queue, this.#names.revocations, '*.*')
      await channel.consume(
        queue,
        (message) => {
          if (message === null) link.fail(new Error('The queue of revocations was cancelled.'))
          else this.#receive(message)
        },
        { noAck: true },
      )
      // It may fail to begin, but must not fall silent later on.
      channel.on('error', (error: Error) => link.fail(error))
    } catch (error) {
      if ((error as { code?: unknown }).code !== ACCESS_REFUSED) throw error
      if (this.#isWarned) return
      this.#isWarned = true
      this.#log.warn(
        { err: error },
        'RabbitMQ lets this user hear no revocations, so how long the push path takes is not measured; its rights are in docs/security.md',
      )
    }
  }

  /** Never throws: whatever it was, it must not stop the consumer. */
  #receive({ content, properties, fields }: ConsumeMessage): void {
    try {
      if (content.length > MAX_ENTRY_BYTES || !this.#isBelieved(content, properties.headers)) return
      const outline = parseOutline(parseJson(content.toString('utf8')))
      if (outline.log !== 'revocations') return
      if (fields.routingKey !== `${outline.tenant}.${outline.kind}`) return
      this.stats.heard += 1
      this.emit('heard', outline)
    } catch {
      this.stats.refused += 1
    }
  }

  #isBelieved(
    content: Uint8Array,
    headers: Readonly<Record<string, unknown>> | undefined,
  ): boolean {
    if (this.#verifier === undefined) return true
    const now = performance.now()
    if (now - this.#since >= SECOND_MS) [this.#since, this.#verified] = [now, 0]
    if (this.#verified >= MAX_VERIFIED) {
      this.stats.skipped += 1
      return false
    }
    this.#verified += 1
    if (this.#verifier.verify('entry', content, headers?.[SIGNATURE_HEADER]) === 'good') return true
    this.stats.refused += 1
    return false
  }
}
