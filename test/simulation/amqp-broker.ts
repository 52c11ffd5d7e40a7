import { EventEmitter } from 'node:events'
import type { Actor, World } from './world.ts'

/** After this long without a sign a client takes its connection for dead. */
const HEARTBEAT_MS = 20_000

interface Message {
  readonly exchange: string
  readonly routingKey: string
  readonly content: Buffer
  readonly properties: Readonly<Record<string, unknown>>
}

export type Delivery = {
  readonly fields: { readonly exchange: string; readonly routingKey: string }
} & Pick<Message, 'content' | 'properties'>

interface Queue {
  readonly name: string
  readonly connection: SimConnection
  readonly bindings: { readonly exchange: string; readonly pattern: string }[]
  readonly waiting: Message[]
  consumer: ((message: Delivery | null) => void) | undefined
}

/** RabbitMQ as far as Knell's view of it goes: topic exchanges, exclusive queues without acks, confirms and returns. */
export class SimBroker {
  readonly #world: World
  readonly #exchanges = new Set<string>()
  readonly #queues = new Map<string, Queue>()
  readonly connections: Set<SimConnection> = new Set()
  /** The ids of all messages that were taken and confirmed. */
  readonly taken: Set<string> = new Set()
  isUp = true
  isBlocked = false
  #names = 0

  constructor(world: World) {
    this.#world = world
  }

  get queues(): readonly string[] {
    return [...this.#queues.keys()]
  }

  accept(connection: SimConnection): void {
    this.connections.add(connection)
    if (this.isBlocked) connection.tell('blocked', 'low on memory')
  }

  forget(connection: SimConnection): void {
    this.connections.delete(connection)
    for (const [name, queue] of this.#queues) {
      if (queue.connection === connection) this.#queues.delete(name)
    }
  }

  /** All connections end, and with them all queues, for none of them is durable. */
  restart(downMs: number): void {
    this.#world.log('RabbitMQ goes down')
    this.isUp = false
    this.isBlocked = false
    for (const connection of this.connections) connection.cut('the broker went down')
    this.#world.later(downMs, () => {
      this.#world.log('RabbitMQ is up')
      this.isUp = true
    })
  }

  block(isBlocked: boolean): void {
    if (this.isBlocked === isBlocked || !this.isUp) return
    this.#world.log(`RabbitMQ ${isBlocked ? 'blocks' : 'unblocks'} publishers`)
    this.isBlocked = isBlocked
    for (const connection of this.connections) {
      if (isBlocked) connection.tell('blocked', 'low on memory')
      else connection.unblock()
    }
  }

  declareExchange(name: string): void {
    this.#exchanges.add(name)
  }

  declareQueue(connection: SimConnection): string {
    const name = `amq.gen-${++this.#names}`
    this.#queues.set(name, { name, connection, bindings: [], waiting: [], consumer: undefined })
    return name
  }

  bind(name: string, exchange: string, pattern: string): void {
    this.#queues.get(name)?.bindings.push({ exchange, pattern })
  }

  unbind(name: string): void {
    this.#world.log(`the bindings of ${name} are deleted`)
    this.#queues.get(name)?.bindings.splice(0)
  }

  deleteQueue(name: string): void {
    const queue = this.#queues.get(name)
    if (queue === undefined) return
    this.#world.log(`the queue ${name} is deleted`)
    this.#queues.delete(name)
    const { connection, consumer } = queue
    if (consumer !== undefined) connection.down(() => consumer(null))
  }

  consume(name: string, consumer: (message: Delivery | null) => void): void {
    const queue = this.#queues.get(name)
    if (queue === undefined) return
    queue.consumer = consumer
    for (const message of queue.waiting.splice(0)) this.#deliver(queue, message)
  }

  /** Says whether some queue is bound for it. */
  route(message: Message): boolean {
    const { messageId } = message.properties
    if (typeof messageId === 'string') this.taken.add(messageId)
    let isRouted = false
    for (const queue of this.#queues.values()) {
      const isBound = queue.bindings.some(
        ({ exchange, pattern }) =>
          exchange === message.exchange && matches(pattern, message.routingKey),
      )
      if (!isBound) continue
      isRouted = true
      if (this.#world.random.chance(this.#world.rates.drop)) {
        this.#world.log(`${queue.name} loses ${message.routingKey}`)
      } else if (queue.consumer === undefined) queue.waiting.push(message)
      else this.#deliver(queue, message)
    }
    return isRouted
  }

  #deliver({ connection, consumer }: Queue, message: Message): void {
    const { exchange, routingKey, content, properties } = message
    connection.down(() => consumer?.({ fields: { exchange, routingKey }, content, properties }))
  }
}

/** Topic patterns without `#`, which Knell uses none of. */
function matches(pattern: string, key: string): boolean {
  const words = key.split('.')
  const wanted = pattern.split('.')
  return (
    words.length === wanted.length && wanted.every((word, i) => word === '*' || word === words[i])
  )
}

/** One TCP connection between an actor and the broker: it keeps the order both ways, until it ends. */
export class SimConnection {
  readonly world: World
  readonly broker: SimBroker
  readonly actor: Actor
  /** Emits `error`, `close`, `blocked` and `unblocked` as amqplib's model does. */
  readonly model: EventEmitter = new EventEmitter()
  readonly #held: (() => void)[] = []
  #upAt = 0
  #downAt = 0
  #isStalled = false
  isOpen = true

  constructor(world: World, broker: SimBroker, actor: Actor) {
    this.world = world
    this.broker = broker
    this.actor = actor
  }

  /** Something that the client sends. */
  up(fn: () => void): void {
    if (!this.isOpen) return
    this.#upAt = Math.max(this.#upAt, this.world.now + this.world.delay())
    this.world.later(this.#upAt - this.world.now, () => {
      if (this.isOpen && !this.#isStalled) fn()
    })
  }

  /** As `up`, for what a blocked broker does not read. */
  publish(fn: () => void): void {
    this.up(() => {
      if (this.broker.isBlocked) this.#held.push(fn)
      else fn()
    })
  }

  unblock(): void {
    for (const fn of this.#held.splice(0)) fn()
    this.tell('unblocked')
  }

  /** Something that the broker sends. */
  down(fn: () => void): void {
    if (!this.isOpen || this.#isStalled) return
    this.#downAt = Math.max(this.#downAt, this.world.now + this.world.delay())
    this.world.reach(this.actor, this.#downAt - this.world.now, () => {
      if (this.isOpen) fn()
    })
  }

  tell(event: string, ...args: unknown[]): void {
    this.down(() => this.model.emit(event, ...args))
  }

  /** It ends without a word; both sides see it. */
  cut(why: string): void {
    if (!this.isOpen) return
    this.world.log(`${this.actor.name} loses its connection: ${why}`)
    this.end(new Error(why))
  }

  /** From now on nothing gets through, which the client finds out by itself. */
  stall(): void {
    if (!this.isOpen || this.#isStalled) return
    this.world.log(`a connection of ${this.actor.name} swallows everything`)
    this.#isStalled = true
    this.world.later(HEARTBEAT_MS, () => this.cut('no heartbeat'))
  }

  end(error?: Error): void {
    if (!this.isOpen) return
    this.broker.forget(this)
    this.isOpen = false
    if (this.actor.isDead) return
    this.world.reach(this.actor, 1, () => {
      if (error !== undefined) this.model.emit('error', error)
      this.model.emit('close', error)
    })
  }
}
