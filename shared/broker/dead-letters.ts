import type { Channel } from 'amqplib'
import { setTimeout as delay } from 'node:timers/promises'
import pLimit, { type LimitFunction } from 'p-limit'
import { isKnellError, KnellError } from '../domain/errors.ts'
import type { DeadEvent } from '../domain/handler-messages.ts'
import { serviceNamesOf, type Names, type ServiceNames } from '../domain/names.ts'
import type { Broker, Link } from './broker.ts'
import { toBrokerError } from './broker-error.ts'
import { keptHeadersOf, readFound, type DeadLetter, type Found } from './found-letter.ts'
import { Publisher } from './publisher.ts'

/** So many dead letters are looked through at most in one call: they are held while it lasts. */
const MAX_SCANNED = 20_000
/**
 * So many are put back before they are taken out of the queue for good. Fewer than the 32 commands
 * that a channel of RabbitMQ sends to a quorum queue without waiting: what it keeps back is lost when it closes.
 */
const CHUNK = 16
const LOCK_WITHIN_MS = 5000
const LOCK_EVERY_MS = 50

/** Whom an operator may look after. */
export type Cut = (tenant: string) => boolean

export interface ReplayRequest {
  /** The keys of those to put back; all of them where it is absent. */
  readonly ids?: ReadonlySet<string>
  readonly limit: number
  readonly mayUse: Cut
  /** Whether the caller looks after every tenant, and so also what belongs to none. */
  readonly isForAll: boolean
}

export interface ReplayResult {
  /** Dead letters put back. */
  readonly replayed: number
  /** What cannot be put back: poison, and where entries are signed what the feed has no more. */
  readonly skipped: number
  /** Whether there may be more of them. */
  readonly more: boolean
}

/** Makes the body that puts one event back from what the feed holds, and signs it; undefined where the feed has it no more. */
export type Vouch = (
  letter: DeadEvent,
) => Promise<{ readonly body: string; readonly signature: string } | undefined>

/**
 * The dead letters of services' handlers. They are looked at by taking them without an ack, and come
 * back when the channel closes; so that no other call finds the queue empty meanwhile, only one
 * looks at a service's dead letters at a time, across all processes.
 */
export class DeadLetters {
  readonly #names: Names
  readonly #vouch: Vouch | undefined
  readonly #publisher: Publisher
  readonly #broker: Broker
  readonly #turns = new Map<string, LimitFunction>()
  #link: Link | undefined

  /** `vouch`: makes and signs what is put back. Without it a dead letter is believed as it stands. */
  constructor(broker: Broker, names: Names, vouch?: Vouch) {
    this.#names = names
    this.#vouch = vouch
    this.#broker = broker
    this.#publisher = new Publisher(broker)
    broker.use(async (link) => {
      this.#link = link
      await Promise.resolve()
    })
  }

  /** Up to `limit` dead letters that the caller may see, oldest first. @throws KnellError `unknown_service`, `broker_unavailable`, `too_many_requests` */
  async list(
    service: string,
    { limit, mayUse, isForAll }: Omit<ReplayRequest, 'ids'>,
  ): Promise<{ dead: DeadLetter[]; total: number; more: boolean }> {
    return this.#alone(service, async (channel, { deadQueue }, total) => {
      const dead: DeadLetter[] = []
      for (let scanned = 0; scanned < MAX_SCANNED; scanned++) {
        const found = await take(channel, deadQueue, service)
        if (found === undefined) return { dead, total, more: false }
        if (!isVisible(found, mayUse, isForAll) || found.letter === undefined) continue
        if (dead.length >= limit) break
        dead.push(found.letter)
      }
      return { dead, total, more: true }
    })
  }

  /** Puts dead letters back to their service. One that was put back is no dead letter any more, so that a repeat finds nothing. @throws as `list`, and `broker_topology` */
  async replay(service: string, request: ReplayRequest): Promise<ReplayResult> {
    return this.#alone(service, async (channel, own) => {
      let replayed = 0
      let skipped = 0
      let chunk: Found[] = []
      const earlier = new Set<string>()
      const flush = async (): Promise<void> => {
        replayed += await this.#putBack(channel, own, chunk)
        for (const { letter } of chunk) earlier.add(letter?.key ?? '')
        chunk = []
      }
      for (let scanned = 0; scanned < MAX_SCANNED; scanned++) {
        if (replayed + chunk.length >= request.limit) {
          await flush()
          return { replayed, skipped, more: true }
        }
        const found = await take(channel, own.deadQueue, service)
        if (found === undefined) {
          await flush()
          return { replayed, skipped, more: false }
        }
        if (!isVisible(found, request.mayUse, request.isForAll)) continue
        const key = found.letter?.key ?? ''
        if (request.ids !== undefined && !request.ids.has(key)) continue
        // It failed again meanwhile: to put it back once more would go round in circles.
        if (earlier.has(key)) continue
        const { letter, again } = found
        if (this.#vouch !== undefined && letter !== undefined && 'event' in letter) {
          const body = await this.#vouch(letter)
          found.again = body && again && { ...again, ...body }
        }
        if (found.again === undefined) skipped += 1
        else if (chunk.push(found) >= CHUNK) await flush()
      }
      await flush()
      return { replayed, skipped, more: true }
    })
  }

  /** Publishes each event once, and takes out of the queue what a queue of the service has. Returns how many letters that were. */
  async #putBack(channel: Channel, own: ServiceNames, chunk: readonly Found[]): Promise<number> {
    const sent = new Set<string>()
    const results = await Promise.all(
      chunk.map(async ({ message, letter, again }) => {
        const key = letter?.key ?? ''
        if (again === undefined) return false
        if (!sent.has(key)) {
          sent.add(key)
          const answer = await this.#publisher.publish({
            exchange: this.#names.retry,
            routingKey: own.nowKey,
            ...keptHeadersOf(message),
            ...again,
          })
          if (answer === 'unroutable') {
            throw new KnellError(
              'broker_topology',
              'The queue of this service is gone; its dead letters stay. They can be put back once a handler of it runs.',
            )
          }
        }
        channel.ack(message)
        return true
      }),
    )
    return results.filter(Boolean).length
  }

  /** Runs with a channel of its own while nobody else looks at this service's dead letters. */
  async #alone<T>(
    service: string,
    work: (channel: Channel, own: ServiceNames, total: number) => Promise<T>,
  ): Promise<T> {
    let turn = this.#turns.get(service)
    if (turn === undefined) {
      turn = pLimit(1)
      this.#turns.set(service, turn)
    }
    return turn(async () => {
      const link = this.#link
      if (link === undefined || !this.#broker.isUp) {
        throw new KnellError('broker_unavailable', 'RabbitMQ is not connected.')
      }
      try {
        return await Promise.race([link.dead, this.#locked(link, service, work)])
      } catch (error) {
        throw isKnellError(error) ? error : toBrokerError(error)
      }
    })
  }

  async #locked<T>(
    link: Link,
    service: string,
    work: (channel: Channel, own: ServiceNames, total: number) => Promise<T>,
  ): Promise<T> {
    const own = serviceNamesOf(this.#names, service)
    const channel = await link.createChannel({ mayFail: true })
    const total = await countOf(channel, own, service)
    // An exclusive queue is RabbitMQ's own lock: it goes with the connection that holds it.
    const lock = await lockOf(link, `${own.deadQueue}.lock`)
    try {
      return await work(channel, own, total)
    } finally {
      await giveBack(channel, own.deadQueue)
      await lock.deleteQueue(`${own.deadQueue}.lock`).catch(() => {})
      await lock.close().catch(() => {})
    }
  }
}

/** What was taken and not acked comes back before anybody else may look. */
async function giveBack(channel: Channel, queue: string): Promise<void> {
  try {
    channel.nackAll(true)
    // Its answer comes once all that went before has been done.
    const message = await channel.get(queue)
    if (message !== false) channel.reject(message, true)
    await channel.close()
  } catch {
    // It is closed already, which gives them back as well.
  }
}

async function countOf(channel: Channel, own: ServiceNames, service: string): Promise<number> {
  try {
    return (await channel.checkQueue(own.deadQueue)).messageCount
  } catch (error) {
    if ((error as { code?: unknown }).code !== 404) throw error
    throw new KnellError('unknown_service', `No service "${service}" has ever had a handler.`, {
      cause: error,
    })
  }
}

async function lockOf(link: Link, name: string): Promise<Channel> {
  const deadline = performance.now() + LOCK_WITHIN_MS
  for (;;) {
    const channel = await link.createChannel({ mayFail: true })
    try {
      await channel.assertQueue(name, { exclusive: true, durable: false })
      return channel
    } catch (error) {
      if ((error as { code?: unknown }).code !== 405) throw error
      if (performance.now() > deadline) {
        throw new KnellError(
          'too_many_requests',
          'Another call is looking at the dead letters of this service; ask again in a moment.',
          { cause: error },
        )
      }
    }
    await delay(LOCK_EVERY_MS)
  }
}

async function take(channel: Channel, queue: string, service: string): Promise<Found | undefined> {
  const message = await channel.get(queue)
  return message === false ? undefined : readFound(message, service)
}

function isVisible({ letter }: Found, mayUse: Cut, isForAll: boolean): boolean {
  return letter !== undefined && 'tenant' in letter ? mayUse(letter.tenant) : isForAll
}
