import type { TokenStore } from '../store/token-store.ts'
import type { Relay } from './relay.ts'
import { rotateAll } from './rotate.ts'

interface Counts {
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

export interface Drained extends Readonly<Counts> {
  /** What went wrong, where something did, in some shard; the others were drained all the same. */
  readonly problem?: Error
}

/** So many shards are drained at once. */
const AT_ONCE = 16
const LOOK_MS = 1000
/** While this many entries of a tenant wait for the broker, draining waits too. */
const MAX_SENDING = 64

/** A shard that has seconds due, and how far it is drained. */
interface DuePlace {
  readonly tenant: string
  readonly shard: number
  readonly seconds: number[]
  cursor: string
}

/** Moves due seconds from the wheel into the feed and on to the relay: everything due up to now, whatever tick asks for it. */
export class Drainer {
  readonly #tokens: TokenStore
  readonly #relay: Relay
  readonly #tenants: readonly string[]
  readonly #backlogMax: number

  constructor(options: {
    tokens: TokenStore
    relay: Relay
    tenants: readonly string[]
    backlogMax: number
  }) {
    this.#tokens = options.tokens
    this.#relay = options.relay
    this.#tenants = options.tenants
    this.#backlogMax = options.backlogMax
  }

  /**
   * Drains every second that was due `graceMs` ago: a batch of each shard of each tenant in turn, so
   * that millions of one tenant delay no other's. What falls due meanwhile is looked for each second.
   */
  async runOnce(graceMs: number): Promise<Drained> {
    const total = { announced: 0, expiring: 0, revoked: 0, seconds: 0, paused: 0 }
    const done = await rotateAll<DuePlace>(
      async () => {
        const due = await this.#tokens.withDue(this.#tenants, graceMs)
        return due.map((place) => ({ ...place, seconds: [], cursor: '0' }))
      },
      {
        atOnce: AT_ONCE,
        lookMs: LOOK_MS,
        keyOf: ({ tenant, shard }) => `${tenant}.${shard}`,
      },
      (place) => this.#drain(place, graceMs, total),
    )
    return { ...total, ...done }
  }

  /** Drains one batch of a shard; says whether there may be more. */
  async #drain(place: DuePlace, graceMs: number, total: Counts): Promise<boolean> {
    const { tenant, shard } = place
    if (place.seconds.length === 0) {
      const { seconds } = await this.#tokens.due(tenant, shard, graceMs)
      place.seconds.push(...seconds)
      total.seconds += seconds.length
    }
    const [second] = place.seconds
    if (second === undefined) return false
    const result = await this.#tokens.drain(tenant, shard, second, place.cursor, this.#backlogMax)
    if (result.word === 'paused') total.paused += 1
    if (result.word !== 'ok') return false
    total.announced += result.announced
    total.expiring += result.expiring
    total.revoked += result.revoked
    this.#relay.send(result.entries)
    if (result.left === 0) place.seconds.shift()
    place.cursor = result.left === 0 ? '0' : result.cursor
    await this.#relay.room(tenant, 'expiries', MAX_SENDING)
    return true
  }
}
