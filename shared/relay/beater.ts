import type { Logger } from 'pino'
import type { Broker } from '../broker/broker.ts'
import { Publisher } from '../broker/publisher.ts'
import { beatKey, type Names } from '../domain/names.ts'
import { WIRE_VERSION } from '../domain/entry.ts'
import type { FeedStore } from '../store/feed-store.ts'
import type { EventSigner } from '../signing/event-signer.ts'
import { Loop } from './loop.ts'

/**
 * Sends beats: per tenant the tails of all shards at a store time. Among all processes one sends
 * per interval: the store gives the claim, and only a process whose channel is open with no
 * unconfirmed beat asks for it.
 */
export class Beater {
  readonly #feed: FeedStore
  readonly #names: Names
  readonly #tenants: readonly string[]
  readonly #publisher: Publisher
  readonly #loop: Loop
  readonly #intervalMs: number
  readonly #signer: EventSigner | undefined
  readonly #mayBeat: (tenant: string) => boolean
  sent = 0

  constructor(options: {
    feed: FeedStore
    broker: Broker
    names: Names
    tenants: readonly string[]
    intervalMs: number
    signer?: EventSigner | undefined
    log: Logger
    /** A further condition, such as having heard no beat for a while. */
    mayBeat?: (tenant: string) => boolean
  }) {
    this.#feed = options.feed
    this.#names = options.names
    this.#tenants = options.tenants
    this.#intervalMs = options.intervalMs
    this.#signer = options.signer
    this.#mayBeat = options.mayBeat ?? (() => true)
    this.#publisher = new Publisher(options.broker)
    // Half the interval, so that a claim that another process lost is taken up soon.
    this.#loop = new Loop('beat', options.intervalMs / 2, () => this.runOnce(), options.log)
  }

  start(): void {
    this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  async runOnce(): Promise<number> {
    let sent = 0
    for (const tenant of this.#tenants) {
      if (!this.#publisher.isOpen || this.#publisher.unconfirmed > 0) break
      if (!this.#mayBeat(tenant)) continue
      const state = await this.#feed.state(tenant, this.#intervalMs * 0.95)
      if (!state.mayBeat) continue
      const { at, tails, maxTokenTtl } = state
      const body = JSON.stringify({ v: WIRE_VERSION, tenant, at, tails, maxTokenTtl })
      await this.#publisher.publish({
        exchange: this.#names.control,
        routingKey: beatKey(tenant),
        type: 'knell.beat',
        body,
        signature: this.#signer?.sign('beat', body),
        transient: true,
      })
      sent += 1
    }
    this.sent += sent
    return sent
  }
}
