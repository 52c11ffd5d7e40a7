import type { ConfirmChannel, Message } from 'amqplib'
import { KnellError } from '../domain/errors.ts'
import type { Broker, Link } from './broker.ts'
import { SIGNATURE_HEADER } from '../signing/detached-jws.ts'
import { traceHeaders, type TraceText } from '../tracing/trace-text.ts'
import { toBrokerError } from './broker-error.ts'

export interface Outgoing {
  readonly exchange: string
  readonly routingKey: string
  readonly type: string
  readonly messageId?: string
  readonly body: string
  /** A detached JWS over the body's bytes. */
  readonly signature?: string | undefined
  /** Where its trace stands, for the headers `traceparent` and `tracestate`. */
  readonly trace?: TraceText | undefined
  /** Persistent unless told otherwise: beats are worth nothing after a restart of the broker. */
  readonly transient?: boolean
  /** The RabbitMQ user it comes from; RabbitMQ refuses another than the one logged in. */
  readonly userId?: string
}

/** What became of a message that RabbitMQ confirmed. `unroutable`: no queue is bound for it. */
export type Sent = 'routed' | 'unroutable'

const CONFIRM_TIMEOUT_MS = 10_000
/** Refusals that go on for so long may be the channel's own fault. */
const REFUSED_MS = 10_000
/** The most of that, where it goes on and on: then it is a queue that is full. */
const MAX_REFUSED_MS = 600_000
/** After so long without a refusal the next is another matter. */
const QUIET_MS = 60_000

interface Flight {
  settle(result: Sent | KnellError): void
}

/**
 * Publishes with confirms on a channel of its own. At most `window` messages are unconfirmed;
 * further calls wait their turn, in order. A message without a confirm after 10 s fails as unknown
 * and the connection is made anew; whoever published it publishes it again under the same id.
 *
 * So it is where messages are refused for 10 s, then for 20 s and so on. A queue that is full refuses
 * whatever comes. But a channel that began to publish to a quorum queue just when its leader died may
 * refuse every message for that queue ever after (RabbitMQ 3.10), while a new one would not.
 */
export class Publisher {
  readonly #broker: Broker
  readonly #window: number
  #channel: ConfirmChannel | undefined
  #link: Link | undefined
  #inFlight = 0
  readonly #flights = new Set<Flight>()
  readonly #turns: (() => void)[] = []
  readonly #returned = new Set<string>()
  #number = 0
  readonly #refusedMs: number
  /** Since when messages are refused, or since the connection was made anew for it; when the last was; and how long it may go on. */
  #refusals = { since: 0, last: -Infinity, patienceMs: 0 }

  /** `refusedMs`: for how long messages may be refused at first. Default: 10,000. */
  constructor(broker: Broker, options: { window?: number; refusedMs?: number } = {}) {
    this.#broker = broker
    this.#window = options.window ?? 100
    this.#refusedMs = options.refusedMs ?? REFUSED_MS
    broker.use((link) => this.#open(link))
    broker.on('down', () => this.#lost())
  }

  /** Whether a message published now would go out at once: not while the broker blocks publishers. */
  get isOpen(): boolean {
    return this.#channel !== undefined && !this.#broker.isBlocked
  }

  get unconfirmed(): number {
    return this.#inFlight
  }

  async #open(link: Link): Promise<void> {
    const channel = await link.createConfirmChannel()
    channel.on('return', (message: Message) => {
      this.#returned.add(String(message.properties.headers?.['knell-flight']))
    })
    this.#link = link
    this.#channel = channel
    for (const turn of this.#turns.splice(0)) turn()
  }

  #lost(): void {
    this.#channel = undefined
    this.#returned.clear()
    const error = new KnellError(
      'broker_unavailable',
      'The connection to RabbitMQ was lost before the confirm.',
    )
    for (const flight of this.#flights) flight.settle(error)
    for (const turn of this.#turns.splice(0)) turn()
  }

  /** @throws KnellError `broker_unavailable` (unknown: publish again), `broker_nacked` */
  async publish(message: Outgoing): Promise<Sent> {
    while (this.#channel !== undefined && this.#inFlight >= this.#window) {
      await new Promise<void>((resolve) => {
        this.#turns.push(resolve)
      })
    }
    const channel = this.#channel
    const link = this.#link
    if (channel === undefined || link === undefined) {
      throw new KnellError('broker_unavailable', 'There is no connection to RabbitMQ.')
    }
    this.#inFlight += 1
    const flightId = String(++this.#number)
    try {
      return await new Promise<Sent>((resolve, reject) => {
        const flight: Flight = {
          settle: (result) => {
            clearTimeout(timer)
            this.#flights.delete(flight)
            if (typeof result === 'string') resolve(result)
            else reject(result)
          },
        }
        const timer = setTimeout(() => {
          flight.settle(new KnellError('broker_unavailable', 'RabbitMQ did not confirm in time.'))
          // A blocked broker confirms when its alarm is over; a connection made anew would be blocked as well.
          if (this.#broker.isBlocked) return
          link.fail(new Error('RabbitMQ did not confirm a message in time.'))
        }, CONFIRM_TIMEOUT_MS)
        this.#flights.add(flight)
        try {
          channel.publish(
            message.exchange,
            message.routingKey,
            Buffer.from(message.body),
            {
              contentType: 'application/json',
              persistent: message.transient !== true,
              mandatory: true,
              type: message.type,
              appId: 'knell',
              headers: {
                'knell-flight': flightId,
                ...(message.signature === undefined
                  ? {}
                  : { [SIGNATURE_HEADER]: message.signature }),
                ...traceHeaders(message.trace),
              },
              ...(message.messageId === undefined ? {} : { messageId: message.messageId }),
              ...(message.userId === undefined ? {} : { userId: message.userId }),
            },
            (error: unknown) => {
              const unroutable = this.#returned.delete(flightId)
              if (error === null || error === undefined) {
                flight.settle(unroutable ? 'unroutable' : 'routed')
              } else {
                flight.settle(
                  new KnellError('broker_nacked', 'RabbitMQ refused a message.', { cause: error }),
                )
                if (link === this.#link) this.#refused(link)
              }
            },
          )
        } catch (error) {
          flight.settle(toBrokerError(error))
        }
      })
    } finally {
      this.#inFlight -= 1
      this.#turns.shift()?.()
    }
  }

  /** Gives the connection up where this has gone on for too long. */
  #refused(link: Link): void {
    const now = performance.now()
    if (now - this.#refusals.last > QUIET_MS) {
      this.#refusals = { since: now, last: now, patienceMs: this.#refusedMs }
    }
    const { since, patienceMs } = this.#refusals
    this.#refusals.last = now
    if (now - since < patienceMs) return
    const longer = Math.min(2 * patienceMs, MAX_REFUSED_MS)
    this.#refusals = { since: now, last: now, patienceMs: longer }
    link.fail(new Error('RabbitMQ has refused messages for some time.'))
  }
}
