import type { TokenStore } from '../store/token-store.ts'
import type { Relay } from './relay.ts'

export interface Drained {
  /** Tokens announced as expired. */
  announced: number
  /** Tokens announced as expiring. */
  expiring: number
  /** Tokens passed over because they had been revoked one by one. */
  revoked: number
  /** Seconds that were looked at. */
  seconds: number
  /** Shards that were left because too many entries are unsent. */
  paused: number
}

/** While this many entries wait for the broker, draining waits too. */
const MAX_SENDING = 64

/** Moves due seconds from the wheel into the feed and on to the relay: everything due up to now, whatever tick asks for it. */
export class Drainer {
  readonly #tokens: TokenStore
  readonly #relay: Relay
  readonly #tenants: readonly string[]
  readonly #shards: number
  readonly #backlogMax: number

  constructor(options: {
    tokens: TokenStore
    relay: Relay
    tenants: readonly string[]
    shards: number
    backlogMax: number
  }) {
    this.#tokens = options.tokens
    this.#relay = options.relay
    this.#tenants = options.tenants
    this.#shards = options.shards
    this.#backlogMax = options.backlogMax
  }

  /** Drains every second that was due `graceMs` ago. */
  async runOnce(graceMs: number): Promise<Drained> {
    const total: Drained = { announced: 0, expiring: 0, revoked: 0, seconds: 0, paused: 0 }
    for (const tenant of this.#tenants) {
      const shards = Array.from({ length: this.#shards }, (_, shard) => shard)
      await Promise.all(shards.map((shard) => this.#drainShard(tenant, shard, graceMs, total)))
    }
    return total
  }

  async #drainShard(tenant: string, shard: number, graceMs: number, total: Drained): Promise<void> {
    for (;;) {
      const { seconds } = await this.#tokens.due(tenant, shard, graceMs)
      if (seconds.length === 0) return
      for (const second of seconds) {
        total.seconds += 1
        if (!(await this.#drainSecond(tenant, shard, second, total))) return
      }
    }
  }

  async #drainSecond(
    tenant: string,
    shard: number,
    second: number,
    total: Drained,
  ): Promise<boolean> {
    let cursor = '0'
    for (;;) {
      const result = await this.#tokens.drain(tenant, shard, second, cursor, this.#backlogMax)
      if (result.word === 'paused') total.paused += 1
      if (result.word !== 'ok') return false
      total.announced += result.announced
      total.expiring += result.expiring
      total.revoked += result.revoked
      this.#relay.send(result.entries)
      if (result.left === 0) return true
      cursor = result.cursor
      await this.#relay.room(MAX_SENDING)
    }
  }
}
