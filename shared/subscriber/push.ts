import type { Channel, ConsumeMessage } from 'amqplib'
import { Broker, type Link } from '../broker/broker.ts'
import { declareInstanceQueue } from '../broker/topology.ts'
import { parseBeat, type Beat } from '../domain/beat.ts'
import { isRecord, parseEntry, parseJson, type Entry } from '../domain/entry.ts'
import { KnellError } from '../domain/errors.ts'
import { beatKey, type Names } from '../domain/names.ts'
import type { EventVerifier } from '../signing/event-verifier.ts'
import type { TlsClient } from '../tls/tls-client.ts'
import { readTrace, type TraceText } from '../tracing/trace-text.ts'
import { Gate, MAX_MESSAGE_BYTES } from './gate.ts'

export interface PushEvents {
  onUp(): void
  onDown(): void
  /** `trace`: where its trace stands, as the message says. */
  onEntry(entry: Entry, trace: TraceText | undefined): void
  onBeat(beat: Beat): void
  /** A message that follows no contract; it is dropped. */
  onInvalid(error: unknown): void
  /** A message that is not to be believed; it is dropped. */
  onRefused(error: KnellError): void
  onProblem(error: KnellError): void
}

/** The push path: an exclusive queue of this instance, bound to what it follows, made anew with every connection. */
export class Push {
  readonly #broker: Broker
  readonly #names: Names
  readonly #tenants: readonly string[]
  readonly #events: PushEvents
  readonly #gate: Gate
  #channel: Channel | undefined
  #link: Link | undefined
  #queue = ''
  #expiries = false

  constructor(options: {
    url: string
    tls?: TlsClient | undefined
    service: string
    names: Names
    tenants: readonly string[]
    verifier?: EventVerifier | undefined
    events: PushEvents
  }) {
    this.#names = options.names
    this.#tenants = options.tenants
    this.#events = options.events
    this.#gate = new Gate(options.names, options.verifier)
    this.#broker = new Broker(options.url, `knell subscriber ${options.service}`, options.tls)
    this.#broker.use((link) => this.#setup(link))
    this.#broker.on('up', () => options.events.onUp())
    this.#broker.on('down', () => {
      this.#channel = undefined
      options.events.onDown()
    })
    this.#broker.on('problem', (error) => options.events.onProblem(error))
  }

  get isUp(): boolean {
    return this.#broker.isUp
  }

  /** Whether so much is forged that what is good may be lost with it. */
  get isOverwhelmed(): boolean {
    return this.#gate.isOverwhelmed
  }

  start(): Promise<void> {
    return this.#broker.start()
  }

  close(): Promise<void> {
    return this.#broker.close()
  }

  async #setup(link: Link): Promise<void> {
    const channel = await link.createChannel()
    const queue = await declareInstanceQueue(channel)
    for (const tenant of this.#tenants) {
      await channel.bindQueue(queue, this.#names.revocations, `${tenant}.*`)
      await channel.bindQueue(queue, this.#names.control, beatKey(tenant))
    }
    if (this.#expiries) await this.#bindExpiries(channel, queue)
    await channel.consume(
      queue,
      (message) => {
        if (message === null) link.fail(new Error('The broker cancelled the consumer.'))
        else this.#receive(message)
      },
      { noAck: true, exclusive: true },
    )
    this.#channel = channel
    this.#link = link
    this.#queue = queue
  }

  /** Makes the connection, and with it queue and bindings, anew: something on the way may have been deleted. */
  renew(): void {
    if (this.#broker.isUp) this.#link?.fail(new Error('No beat came for a while.'))
  }

  /** From now on expiries are pushed as well. */
  async followExpiries(): Promise<void> {
    this.#expiries = true
    if (this.#channel !== undefined) await this.#bindExpiries(this.#channel, this.#queue)
  }

  async #bindExpiries(channel: Channel, queue: string): Promise<void> {
    for (const tenant of this.#tenants) {
      await channel.bindQueue(queue, this.#names.expiries, `${tenant}.*`)
    }
  }

  /** Never throws: a bad message must not stop the consumer. */
  #receive(message: ConsumeMessage): void {
    const { fields, content } = message
    let entry: Entry | undefined
    let beat: Beat | undefined
    const refused = this.#gate.refusesSignature(message)
    if (refused !== undefined) return this.#events.onRefused(refused)
    try {
      if (content.length > MAX_MESSAGE_BYTES) {
        throw new KnellError(
          'message_invalid',
          `A message of ${content.length} bytes is too large.`,
        )
      }
      const value = parseJson(content.toString('utf8'))
      if (fields.exchange === this.#names.control) beat = parseBeat(value)
      else entry = parseWhole(value)
    } catch (error) {
      this.#events.onInvalid(error)
      return
    }
    const said = beat ?? entry
    const astray = said && this.#gate.refusesWay(message, said)
    if (astray !== undefined) this.#events.onRefused(astray)
    else if (beat !== undefined) this.#events.onBeat(beat)
    else if (entry !== undefined) this.#events.onEntry(entry, readTrace(message.properties.headers))
  }
}

/** Some events of an entry, as a service's handlers may get them again, must not pass for all of it. */
function parseWhole(value: unknown): Entry {
  const entry = parseEntry(value)
  if (isRecord(value) && 'indexes' in value) {
    throw new KnellError('message_invalid', 'A part of an entry came where whole ones do.')
  }
  return entry
}
