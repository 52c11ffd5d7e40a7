import { Broker } from '../../broker/broker.ts'
import { Publisher, type Outgoing } from '../../broker/publisher.ts'
import { ensureExchanges } from '../../broker/topology.ts'
import { KnellError } from '../../domain/errors.ts'
import type { Names } from '../../domain/names.ts'
import type { TlsClient } from '../../tls/tls-client.ts'

const FIRST_PAUSE_MS = 250
const MAX_PAUSE_MS = 5000

/**
 * Publishes what became of deliveries, on a connection of its own: an alarm of the broker blocks
 * connections that publish, and the acks of deliveries must not wait for that.
 */
export class Outbox {
  readonly #broker: Broker
  readonly #publisher: Publisher
  readonly #repair: () => Promise<void>
  readonly #onProblem: (error: unknown) => void
  readonly #sleepers = new Set<() => void>()
  #hurry = false

  constructor(options: {
    url: string
    tls?: TlsClient | undefined
    service: string
    names: Names
    /** Declares queues and bindings anew: what was published found none. */
    repair: () => Promise<void>
    onProblem: (error: unknown) => void
  }) {
    this.#repair = options.repair
    this.#onProblem = options.onProblem
    this.#broker = new Broker(
      options.url,
      `knell handlers ${options.service}, publishing`,
      options.tls,
    )
    this.#broker.use((link) => ensureExchanges(link, options.names))
    this.#broker.on('problem', (error) => options.onProblem(error))
    this.#publisher = new Publisher(this.#broker)
  }

  start(): Promise<void> {
    return this.#broker.start()
  }

  /** Publishes until a queue has it, for as long as that is wanted. Returns whether one has. */
  async deliver(message: Outgoing, isWanted: () => boolean): Promise<boolean> {
    for (let pauseMs = FIRST_PAUSE_MS; isWanted(); pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      // While the broker blocks publishers each try would leave one more copy to be stored later.
      if (this.#publisher.isOpen) {
        try {
          if ((await this.#publisher.publish(message)) === 'routed') return true
          this.#onProblem(
            new KnellError('broker_topology', `No queue is bound for ${message.routingKey}.`),
          )
          await this.#repair()
        } catch (error) {
          this.#onProblem(error)
        }
      }
      if (this.#hurry) return false
      await this.#pause(pauseMs * (0.5 + Math.random() / 2))
    }
    return false
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#sleepers.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#sleepers.add(done)
    })
  }

  /** From now on each message is tried once more, and then given up. */
  hurry(): void {
    this.#hurry = true
    for (const done of this.#sleepers) done()
  }

  close(): Promise<void> {
    this.hurry()
    return this.#broker.close()
  }
}
