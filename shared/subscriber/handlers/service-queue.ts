import type { Channel, ConsumeMessage } from 'amqplib'
import { Broker, type Link } from '../../broker/broker.ts'
import { toBrokerError } from '../../broker/broker-error.ts'
import { ensureService, serviceTopologyOf } from '../../broker/service-topology.ts'
import type { Kind } from '../../domain/entry.ts'
import { KnellError } from '../../domain/errors.ts'
import { serviceNamesOf, type Names } from '../../domain/names.ts'
import type { TlsClient } from '../../tls/tls-client.ts'

const CLOSE_CHANNEL_MS = 2000

/** A message of the service's queue that waits for its answer. */
export interface Delivery {
  readonly content: Buffer
  readonly headers: Readonly<Record<string, unknown>>
  readonly exchange: string
  readonly routingKey: string
  /** Whether it can still be answered: not once its channel is gone, since then another instance gets it. */
  readonly isAlive: boolean
  /** Done with; false where it is too late. */
  ack(): boolean
  /** Back into the queue. */
  requeue(): boolean
}

/** Consumes the queue that a service's instances share. Queues, bindings and consumer are made anew with every connection, and looked after. */
export class ServiceQueue {
  readonly #broker: Broker
  readonly #names: Names
  readonly #service: string
  readonly #tenants: readonly string[]
  readonly #kinds: () => readonly Kind[]
  readonly #onDelivery: (delivery: Delivery) => void
  readonly #onProblem: (error: KnellError) => void
  readonly #reassertMs: number
  #prefetch: number
  #link: Link | undefined
  #channel: Channel | undefined
  #tag = ''
  #consumedWith = 0
  #changing: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #repairing: Promise<void> | undefined
  #stopped = false

  constructor(options: {
    url: string
    tls?: TlsClient | undefined
    service: string
    names: Names
    tenants: readonly string[]
    kinds: () => readonly Kind[]
    prefetch: number
    /** A binding that somebody removed is back after this, in ms, and up to half as much again. */
    reassertMs: number
    onDelivery: (delivery: Delivery) => void
    onUp: () => void
    onProblem: (error: KnellError) => void
  }) {
    this.#names = options.names
    this.#service = options.service
    this.#tenants = options.tenants
    this.#kinds = options.kinds
    this.#prefetch = options.prefetch
    this.#reassertMs = options.reassertMs
    this.#onDelivery = options.onDelivery
    this.#onProblem = options.onProblem
    this.#broker = new Broker(options.url, `knell handlers ${options.service}`, options.tls)
    this.#broker.use((link) => this.#setup(link))
    this.#broker.on('up', () => options.onUp())
    this.#broker.on('down', () => {
      this.#channel = undefined
      this.#link = undefined
    })
    this.#broker.on('problem', (error) => options.onProblem(error))
  }

  get isUp(): boolean {
    return this.#link !== undefined && this.#broker.isUp
  }

  async start(): Promise<void> {
    this.#reassert()
    await this.#broker.start()
  }

  async #setup(link: Link): Promise<void> {
    this.#channel = undefined
    this.#tag = ''
    await this.#apply(link)
    this.#link = link
  }

  #ensure(link: Link): Promise<void> {
    const follows = { tenants: this.#tenants, kinds: this.#kinds() }
    return ensureService(link, this.#names, serviceTopologyOf(this.#names, this.#service, follows))
  }

  /** Consumes where there are kinds to consume, with the present prefetch. */
  async #apply(link: Link): Promise<void> {
    const isWanted = this.#kinds().length > 0 && !this.#stopped
    if (isWanted) await this.#ensure(link)
    const channel = (this.#channel ??= await link.createChannel())
    // The prefetch counts for consumers that begin after it was set.
    if (this.#tag !== '' && (!isWanted || this.#consumedWith !== this.#prefetch)) {
      await channel.cancel(this.#tag)
      this.#tag = ''
    }
    if (!isWanted || this.#tag !== '') return
    this.#consumedWith = this.#prefetch
    await channel.prefetch(this.#prefetch)
    const { queue } = serviceNamesOf(this.#names, this.#service)
    const { consumerTag } = await channel.consume(queue, (message) => {
      if (message === null) link.fail(new Error('The broker cancelled the consumer.'))
      else this.#onDelivery(this.#toDelivery(channel, message))
    })
    this.#tag = consumerTag
  }

  /** The kinds or the prefetch have changed. Where there is no connection the next one takes them up. @throws KnellError */
  async refresh(prefetch: number): Promise<void> {
    this.#prefetch = prefetch
    const link = this.#link
    if (link === undefined) return
    const before = this.#changing
    const change = (async () => {
      await before
      if (link === this.#link) await this.#apply(link)
    })()
    this.#changing = change.catch(() => {})
    try {
      await Promise.race([link.dead, change])
    } catch (error) {
      throw toBrokerError(error)
    }
  }

  #toDelivery(channel: Channel, message: ConsumeMessage): Delivery {
    let answered = false
    const isAlive = (): boolean => !answered && this.#channel === channel
    const answer = (send: () => void): boolean => {
      if (!isAlive()) return false
      answered = true
      try {
        send()
        return true
      } catch {
        // The channel closed in this very moment.
        return false
      }
    }
    return {
      content: message.content,
      headers: message.properties.headers ?? {},
      exchange: message.fields.exchange,
      routingKey: message.fields.routingKey,
      get isAlive() {
        return isAlive()
      },
      ack: () => answer(() => channel.ack(message)),
      requeue: () => answer(() => channel.reject(message, true)),
    }
  }

  /** Declares queues and bindings again; several calls at once are one. Never rejects. */
  repair(): Promise<void> {
    const link = this.#link
    if (link === undefined || this.#kinds().length === 0) return Promise.resolve()
    this.#repairing ??= Promise.race([link.dead, this.#ensure(link)])
      .catch((error: unknown) => {
        this.#onProblem(
          new KnellError('broker_topology', 'The queues of the service cannot be declared again.', {
            cause: error,
          }),
        )
      })
      .finally(() => {
        this.#repairing = undefined
      })
    return this.#repairing
  }

  #reassert(): void {
    this.#timer = setTimeout(
      () => {
        void this.repair().finally(() => {
          if (!this.#stopped) this.#reassert()
        })
      },
      this.#reassertMs * (1 + Math.random() / 2),
    )
  }

  /** Takes no more messages; those that came can still be answered. */
  async stopConsuming(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.refresh(this.#prefetch).catch(() => {})
  }

  async close(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    const [link, channel] = [this.#link, this.#channel]
    if (link !== undefined && channel !== undefined) {
      // The end of the connection would overtake acks that are still on their way out of this process.
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CLOSE_CHANNEL_MS)
      })
      await Promise.race([link.dead, late, channel.close()]).catch(() => {})
      clearTimeout(timer)
    }
    await this.#broker.close()
  }
}
