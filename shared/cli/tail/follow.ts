import type { ConsumeMessage } from 'amqplib'
import { once } from 'node:events'
import { Broker } from '../../broker/broker.ts'
import { declareInstanceQueue, exchangesOf } from '../../broker/topology.ts'
import { logOf, parseEntry, parseJson, type Kind } from '../../domain/entry.ts'
import type { Names } from '../../domain/names.ts'
import type { TlsClient } from '../../tls/tls-client.ts'
import { eventsOf, type LiveEvent } from './live-event.ts'

export interface FollowOptions {
  readonly url: string
  readonly tls: TlsClient | undefined
  readonly names: Names
  /** `*` is every tenant. */
  readonly tenants: readonly string[]
  readonly kinds: readonly Kind[]
  readonly signal: AbortSignal
  readonly onEvent: (event: LiveEvent) => void
  readonly onNotice: (text: string) => void
}

/**
 * Consumes the exchanges through a queue of its own until the signal comes; what happens while RabbitMQ
 * is away is not shown. Returns why there was nothing to follow, where RabbitMQ cannot be used at all.
 */
export async function follow(options: FollowOptions): Promise<string | undefined> {
  const { url, tls, names, tenants, kinds, signal, onEvent, onNotice } = options
  const broker = new Broker(url, 'knell tail', tls)
  let wasUp = false
  let failure: string | undefined
  const over = new AbortController()
  broker.use(async (link) => {
    const look = await link.createChannel({ mayFail: true })
    for (const exchange of exchangesOf(names).slice(0, 2)) await look.checkExchange(exchange)
    await look.close()
    const channel = await link.createChannel()
    const queue = await declareInstanceQueue(channel)
    for (const tenant of tenants) {
      for (const kind of kinds) {
        const exchange = logOf(kind) === 'revocations' ? names.revocations : names.expiries
        await channel.bindQueue(queue, exchange, `${tenant}.${kind}`)
      }
    }
    await channel.consume(queue, (message) => hear(message), { noAck: true })
  })
  broker.on('up', () => {
    onNotice(wasUp ? 'RabbitMQ is back; what happened meanwhile is not shown.' : 'Listening ...')
    wasUp = true
  })
  broker.on('down', () => {
    if (!signal.aborted) onNotice('RabbitMQ was lost; connecting again ...')
  })
  broker.on('problem', (error) => {
    // One that was there may come back; one that never was is told and left.
    if (wasUp) return
    failure = error.message
    over.abort()
  })

  function hear(message: ConsumeMessage | null): void {
    if (message === null) return
    try {
      for (const event of eventsOf(parseEntry(parseJson(message.content.toString('utf8'))))) {
        onEvent(event)
      }
    } catch (error) {
      onNotice(`A message that is none of Knell's: ${(error as Error).message}`)
    }
  }

  const ended = AbortSignal.any([signal, over.signal])
  await broker.start()
  // Not `once` alone: it may have happened while the connection was begun.
  if (!ended.aborted) await once(ended, 'abort')
  await broker.close()
  return failure
}
