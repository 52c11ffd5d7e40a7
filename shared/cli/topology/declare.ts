import type { Channel, ChannelModel } from 'amqplib'
import { serviceTopologyOf, type QueueSpec } from '../../broker/service-topology.ts'
import { exchangesOf } from '../../broker/topology.ts'
import type { Names } from '../../domain/names.ts'
import type { ServiceOption } from './options.ts'

/** What a pass over the topology found of one thing. */
export interface Item {
  readonly what: string
  readonly state: 'ok' | 'missing' | 'different' | 'refused' | 'locked'
  /** What is wrong, and what to do about it; empty where nothing is. */
  readonly detail: string
}

/**
 * Declares exchanges, queues and bindings; what is there already stays as it is. A queue that differs
 * is told, and the rest is declared all the same.
 */
export async function applyTopology(
  model: ChannelModel,
  names: Names,
  services: readonly ServiceOption[],
): Promise<readonly Item[]> {
  const pass = new Pass(model)
  for (const exchange of exchangesOf(names)) {
    await pass.run(`exchange ${exchange}`, (channel) => assertExchange(channel, exchange))
  }
  for (const { service, ...follows } of withHandlers(services)) {
    const { queues, bindings } = serviceTopologyOf(names, service, follows)
    for (const queue of queues) {
      await pass.run(`queue ${queue.name}`, (channel) => assertQueue(channel, queue))
    }
    for (const { queue, exchange, routingKey } of bindings) {
      await pass.run(`binding ${exchange} -> ${queue} (${routingKey})`, (channel) =>
        channel.bindQueue(queue, exchange, routingKey),
      )
    }
  }
  return pass.items
}

/**
 * Looks whether exchanges and queues are there and as they should be. It declares only what it has
 * just seen, which changes nothing. Bindings cannot be seen over AMQP 0-9-1.
 */
export async function checkTopology(
  model: ChannelModel,
  names: Names,
  services: readonly ServiceOption[],
): Promise<readonly Item[]> {
  const pass = new Pass(model)
  for (const exchange of exchangesOf(names)) {
    await pass.run(`exchange ${exchange}`, async (channel) => {
      await channel.checkExchange(exchange)
      await assertExchange(channel, exchange)
    })
  }
  for (const { service, ...follows } of withHandlers(services)) {
    for (const queue of serviceTopologyOf(names, service, follows).queues) {
      await pass.run(`queue ${queue.name}`, async (channel) => {
        await channel.checkQueue(queue.name)
        await assertQueue(channel, queue)
      })
    }
  }
  return pass.items
}

function withHandlers(services: readonly ServiceOption[]): readonly ServiceOption[] {
  return services.filter(({ kinds }) => kinds.length > 0)
}

function assertExchange(channel: Channel, exchange: string): Promise<unknown> {
  return channel.assertExchange(exchange, 'topic', { durable: true })
}

function assertQueue(channel: Channel, queue: QueueSpec): Promise<unknown> {
  return channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments })
}

/** Each step has a channel of its own, since a refusal closes it. */
class Pass {
  readonly items: Item[] = []
  readonly #model: ChannelModel

  constructor(model: ChannelModel) {
    this.#model = model
  }

  async run(what: string, step: (channel: Channel) => Promise<unknown>): Promise<void> {
    const channel = await this.#model.createChannel()
    channel.on('error', () => {})
    try {
      await step(channel)
    } catch (error) {
      this.items.push({ what, ...problemOf(what, error) })
      return
    }
    this.items.push({ what, state: 'ok', detail: '' })
    await channel.close()
  }
}

/** What RabbitMQ objects to, and what to do about it. Whatever is no answer of RabbitMQ's is thrown. */
function problemOf(what: string, error: unknown): Omit<Item, 'what'> {
  const { code, message = '' } = error as { code?: unknown; message?: string }
  const [, said = message] = /"([^]*)"$/.exec(message) ?? []
  switch (code) {
    case 403:
      return {
        state: 'refused',
        detail: `refused. Use the deploy user, with the rights that "permissions" prints. ${said}`,
      }
    case 404:
      return { state: 'missing', detail: 'missing. Run "apply".' }
    case 405:
      return { state: 'locked', detail: `another connection has it for itself. ${said}` }
    case 406:
      return {
        state: 'different',
        detail: `it is there, but differs. ${said}. What it was declared with cannot change: ${advice(what)}`,
      }
    default:
      throw error
  }
}

function advice(what: string): string {
  if (what.startsWith('exchange')) {
    return 'stop Knell, delete the exchange, run "apply" with every service, start Knell.'
  }
  return what.endsWith('.dead')
    ? 'put the dead letters back or note them, delete the queue, run "apply".'
    : 'delete the queue and run "apply"; what it held is sent again by the sweep.'
}
