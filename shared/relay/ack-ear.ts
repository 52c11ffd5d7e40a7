import type { ConsumeMessage } from 'amqplib'
import { EventEmitter } from 'node:events'
import pLimit from 'p-limit'
import type { Logger } from 'pino'
import type { Broker } from '../broker/broker.ts'
import { declareInstanceQueue } from '../broker/topology.ts'
import { parseAcks, toPositions, type Ack } from '../domain/ack.ts'
import { parseJson } from '../domain/entry.ts'
import { ackKey, type Names } from '../domain/names.ts'
import type { Position } from '../domain/position.ts'
import { ALL_TENANTS } from '../domain/tenant.ts'
import type { HandlerStore } from '../store/handler-store.ts'
import type { InstanceStore, Puller, Sender } from '../store/instance-store.ts'
import { takeAcks } from '../store/take-acks.ts'
import { Loop } from './loop.ts'

/** What an instance has applied, heard just now. */
export interface Heard {
  readonly service: string
  readonly instance: string
  readonly applied: readonly Position[]
  /** Who says so. */
  readonly by: Sender
  /** Whether it has left: it answers no check any more. */
  readonly left: boolean
}

interface AckEarEvents {
  heard: [string, Heard]
}

/** An ack that waits for the store, and whose it is. */
interface Waiting {
  readonly ack: Ack
  readonly user: string
}

/** So many tenants' acks are written at once. */
const AT_ONCE = 16
/** An ack larger than this is none. */
const MAX_BYTES = 262_144
/** Past this many reports of an instance that wait for the store, the oldest are left to the sweep. */
const MAX_HANDLED = 1000
/** Past this many acks waiting for the store, per tenant, further instances' acks are left to their next one. */
const MAX_WAITING = 20_000

/**
 * Hears the acks of all view instances: tells whoever waits at once, and writes them to the store in
 * batches, so that any other process, and one that is started later, knows them too.
 */
export class AckEar extends EventEmitter<AckEarEvents> {
  readonly #stores: { readonly instances: InstanceStore; readonly handlers: HandlerStore }
  readonly #log: Logger
  readonly #loop: Loop
  readonly #waiting = new Map<string, Map<string, Waiting>>()
  readonly stats = { heard: 0, invalid: 0, refused: 0 }

  constructor(options: {
    instances: InstanceStore
    handlers: HandlerStore
    broker: Broker
    names: Names
    tenants: readonly string[]
    beatMs: number
    log: Logger
  }) {
    super()
    this.setMaxListeners(0)
    const { broker, names, beatMs, log } = options
    const { instances, handlers } = options
    this.#stores = { instances, handlers }
    this.#log = log
    for (const tenant of options.tenants) this.#waiting.set(tenant, new Map())
    this.#loop = new Loop('acks', beatMs / 2, () => this.runOnce(), log)
    broker.use(async (link) => {
      const channel = await link.createChannel()
      const queue = await declareInstanceQueue(channel)
      await channel.bindQueue(queue, names.control, ackKey('*', '*'))
      await channel.consume(
        queue,
        (message) => {
          if (message === null) link.fail(new Error('The queue of acks was cancelled.'))
          else this.#receive(message)
        },
        { noAck: true },
      )
    })
  }

  start(): void {
    this.#loop.start()
  }

  /** Stops after what was heard has been written. */
  async stop(): Promise<void> {
    await this.#loop.stop()
    await this.runOnce().catch(() => {})
  }

  /** Never throws: whatever it was, it must not stop the consumer. */
  #receive({ content, fields, properties }: ConsumeMessage): void {
    try {
      const { userId } = properties as { userId?: unknown }
      // RabbitMQ lets nobody name another user than the one it is logged in as.
      if (typeof userId !== 'string' || content.length > MAX_BYTES) throw new Error('no user')
      const [named = ''] = fields.routingKey.split('.')
      for (const ack of parseAcks(parseJson(content.toString('utf8')))) {
        const waiting = this.#waiting.get(ack.tenant)
        if (waiting === undefined || (named !== ack.tenant && named !== ALL_TENANTS)) continue
        if (fields.routingKey !== ackKey(named, ack.service)) continue
        const field = `${ack.service} ${ack.instance}`
        const older = waiting.get(field)?.ack.handled ?? []
        // What an instance has applied is in its newest ack; what was handled is in each.
        const handled = [...older, ...(ack.handled ?? [])].slice(-MAX_HANDLED)
        if (waiting.size < MAX_WAITING || waiting.has(field)) {
          const kept = handled.length > 0 ? { ...ack, handled } : ack
          waiting.set(field, { ack: kept, user: userId })
        }
        this.tell(ack, { user: userId })
      }
    } catch {
      this.stats.invalid += 1
    }
  }

  /** Tells whoever waits. The store has not checked yet whose instance it is: who waits must. */
  tell({ tenant, service, instance, applied, state }: Ack, by: Sender): void {
    this.stats.heard += 1
    const positions = toPositions(applied.revocations)
    const left = state === 'leaving'
    this.emit('heard', tenant, { service, instance, applied: positions, by, left })
  }

  /** A pull says what the instance has applied, too. */
  pulled(tenant: string, { service, instance, applied, key }: Puller): void {
    if (applied === undefined) return
    this.emit('heard', tenant, { service, instance, applied, by: { key }, left: false })
  }

  /** Writes what was heard since the last pass. */
  async runOnce(): Promise<number> {
    const limit = pLimit(AT_ONCE)
    const busy = [...this.#waiting].filter(([, waiting]) => waiting.size > 0)
    const results = await Promise.allSettled(
      busy.map(([tenant, waiting]) => limit(() => this.#flush(tenant, waiting))),
    )
    let written = 0
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason
      written += result.value
    }
    return written
  }

  async #flush(tenant: string, waiting: Map<string, Waiting>): Promise<number> {
    const batch = [...waiting]
    waiting.clear()
    try {
      const refused = await this.#write(tenant, batch)
      this.#refused(tenant, refused)
      return batch.length - refused.length
    } catch (error) {
      for (const [field, one] of batch) if (!waiting.has(field)) waiting.set(field, one)
      throw error
    }
  }

  async #write(tenant: string, batch: readonly [string, Waiting][]): Promise<Ack[]> {
    const users = new Map(batch.map(([, { ack, user }]) => [ack, user]))
    const acks = [...users.keys()]
    const sender = (ack: Ack): Sender => ({ user: users.get(ack) ?? '' })
    return [...(await takeAcks(this.#stores, tenant, acks, sender)).refused]
  }

  #refused(tenant: string, refused: readonly Ack[]): void {
    this.stats.refused += refused.length
    for (const { service, instance } of refused.slice(0, 5)) {
      this.#log.warn(
        { tenant, service, instance },
        'an ack was refused: the instance is another user’s, or its service has too many',
      )
    }
  }
}
