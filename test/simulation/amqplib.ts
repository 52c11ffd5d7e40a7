import { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { SimConnection, type Delivery, type SimBroker } from './amqp-broker.ts'
import type { World } from './world.ts'

/**
 * Stands in for amqplib: its `connect` with recovery, which is amqplib's own, and models whose
 * connections lead to the simulated broker. Knell's `Broker` and `Publisher` work on it unchanged.
 */
const require = createRequire(import.meta.url)
const recovery = require(
  // Past the package's `exports`: the recovery belongs to amqplib, and is to be amqplib's here too.
  join(dirname(require.resolve('amqplib')), 'lib', 'recovery.js'),
) as {
  connectWithRecoveryPromise(open: () => Promise<SimModel>, options: unknown): Promise<object>
}

let surroundings: { world: World; broker: SimBroker } | undefined

/** Where connections made from now on lead. */
export function useBroker(world: World, broker: SimBroker): void {
  surroundings = { world, broker }
}

export function connect(_url: string, options: { recovery: unknown }): Promise<object> {
  if (surroundings === undefined) throw new Error('No broker is simulated.')
  const { world, broker } = surroundings
  const { actor } = world
  if (actor === undefined) throw new Error('Only an actor can connect.')
  const open = (): Promise<SimModel> =>
    new Promise((resolve, reject) => {
      if (world.crashes(actor, 'connecting to RabbitMQ')) return
      world.later(world.delay(), () => {
        if (!broker.isUp) {
          world.reach(actor, world.delay(), () => reject(new Error('connect ECONNREFUSED')))
          return
        }
        const connection = new SimConnection(world, broker, actor)
        world.reach(actor, world.delay(), () => {
          resolve(new SimModel(connection))
          broker.accept(connection)
        })
      })
    })
  return recovery.connectWithRecoveryPromise(open, options.recovery)
}

class SimModel extends EventEmitter {
  readonly connection: { readonly stream: { destroy(error: Error): void } }
  readonly #connection: SimConnection

  constructor(connection: SimConnection) {
    super()
    this.#connection = connection
    for (const event of ['error', 'close', 'blocked', 'unblocked']) {
      connection.model.on(event, (...args: unknown[]) => this.emit(event, ...args))
    }
    this.connection = { stream: { destroy: (error) => connection.end(error) } }
  }

  createChannel(): Promise<SimChannel> {
    return rpc(this.#connection, 'opening a channel', () => new SimChannel(this.#connection))
  }

  createConfirmChannel(): Promise<SimChannel> {
    return this.createChannel()
  }

  close(): Promise<void> {
    return rpc(this.#connection, 'closing', () => {}).then(() => this.#connection.end())
  }
}

/** A call and its answer. Where the connection ends in between it fails, as amqplib's do. */
function rpc<T>(connection: SimConnection, what: string, run: () => T): Promise<T> {
  const { world, actor, model } = connection
  return new Promise((resolve, reject) => {
    if (world.crashes(actor, `before ${what}`)) return
    if (!connection.isOpen) {
      reject(new Error('Connection closed'))
      return
    }
    const onClose = (): void => reject(new Error('Connection closed'))
    model.once('close', onClose)
    connection.up(() => {
      const result = run()
      connection.down(() => {
        model.off('close', onClose)
        if (!world.crashes(actor, `after ${what}`)) resolve(result)
      })
    })
  })
}

class SimChannel extends EventEmitter {
  readonly #connection: SimConnection

  constructor(connection: SimConnection) {
    super()
    this.#connection = connection
  }

  get #broker(): SimBroker {
    return this.#connection.broker
  }

  assertExchange(name: string): Promise<void> {
    return rpc(this.#connection, 'declaring an exchange', () => this.#broker.declareExchange(name))
  }

  assertQueue(): Promise<{ queue: string }> {
    return rpc(this.#connection, 'declaring a queue', () => ({
      queue: this.#broker.declareQueue(this.#connection),
    }))
  }

  bindQueue(queue: string, exchange: string, pattern: string): Promise<void> {
    return rpc(this.#connection, 'binding a queue', () =>
      this.#broker.bind(queue, exchange, pattern),
    )
  }

  consume(queue: string, consumer: (message: Delivery | null) => void): Promise<void> {
    return rpc(this.#connection, 'consuming', () => this.#broker.consume(queue, consumer))
  }

  close(): Promise<void> {
    return rpc(this.#connection, 'closing a channel', () => {})
  }

  publish(
    exchange: string,
    routingKey: string,
    content: Buffer,
    options: Readonly<Record<string, unknown>>,
    done: (error: Error | null) => void,
  ): boolean {
    const connection = this.#connection
    const { world, actor, broker } = connection
    if (!connection.isOpen) throw new Error('Channel closed')
    const what = `publishing ${routingKey}`
    if (world.crashes(actor, `before ${what}`)) return true
    connection.publish(() => {
      if (world.random.chance(world.rates.nack)) {
        world.log(`RabbitMQ nacks ${routingKey} of ${actor.name}`)
        connection.down(() => done(new Error('message nacked')))
        return
      }
      const { headers, userId } = options
      const isRouted = broker.route({ exchange, routingKey, content, properties: options })
      world.log(
        `${actor.name} publishes ${routingKey}${isRouted ? '' : ', unroutable'} ${content.toString().slice(0, 160)}`,
      )
      if (!isRouted) {
        connection.down(() => this.emit('return', { properties: { headers, userId } }))
      }
      connection.down(() => {
        if (!world.crashes(actor, `after ${what}`)) done(null)
      })
    })
    return true
  }
}
