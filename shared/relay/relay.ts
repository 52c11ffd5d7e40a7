import type { Logger } from 'pino'
import type { Broker } from '../broker/broker.ts'
import { Publisher } from '../broker/publisher.ts'
import { isKnellError } from '../domain/errors.ts'
import type { Names } from '../domain/names.ts'
import { formatPosition, logs, type Log, type Position } from '../domain/position.ts'
import type { FeedStore } from '../store/feed-store.ts'
import { GroupCommit } from '../store/group-commit.ts'
import type { EventSigner } from '../signing/event-signer.ts'
import type { StoredEntry } from '../store/rule-store.ts'
import { Loop } from './loop.ts'

/** An entry that nobody has tried to send for this long is anybody's to finish. */
const MOMENT_MS = 1000
/** Past this many entries waiting for the broker, more are left to the notes in the store. */
const MAX_WAITING = 1000
const CLAIM = 200

/** An entry on its way to the broker. */
interface Sending {
  readonly log: Log
  readonly since: number
  readonly done: Promise<boolean>
}

export interface RelayStats {
  published: number
  unroutable: number
  failed: number
}

/**
 * Publishes entries with confirms and clears their notes in the store. Each log has a channel of
 * its own, so that a flood of expiries does not delay a revocation. Nothing rests on this memory:
 * what it forgets is still noted, and any relay finishes it.
 */
export class Relay {
  readonly stats: RelayStats = { published: 0, unroutable: 0, failed: 0 }
  readonly #feed: FeedStore
  readonly #names: Names
  readonly #tenants: readonly string[]
  readonly #shards: number
  readonly #signer: EventSigner | undefined
  readonly #log: Logger
  readonly #publishers: Readonly<Record<Log, Publisher>>
  readonly #clears = new Map<string, GroupCommit<Position, void>>()
  readonly #sending = new Map<string, Sending>()
  readonly #loop: Loop

  constructor(options: {
    feed: FeedStore
    broker: Broker
    names: Names
    tenants: readonly string[]
    shards: number
    signer?: EventSigner | undefined
    log: Logger
  }) {
    this.#feed = options.feed
    this.#names = options.names
    this.#tenants = options.tenants
    this.#shards = options.shards
    this.#signer = options.signer
    this.#log = options.log
    this.#publishers = {
      revocations: new Publisher(options.broker),
      expiries: new Publisher(options.broker, { window: 32 }),
    }
    this.#loop = new Loop('relay', MOMENT_MS, () => this.runOnce(MOMENT_MS), options.log)
  }

  start(): void {
    this.#loop.start()
  }

  /** Stops finishing what others left, and waits for what is on its way. */
  async stop(): Promise<void> {
    await this.#loop.stop()
    await this.settled()
  }

  async settled(): Promise<void> {
    await this.room(0)
  }

  /** Waits until at most `most` entries are on their way. */
  async room(most: number): Promise<void> {
    while (this.#sending.size > most) {
      await Promise.race([...this.#sending.values()].map(({ done }) => done))
    }
  }

  /** How many entries are on their way to the broker. */
  get sending(): number {
    return this.#sending.size
  }

  isOpen(log: Log): boolean {
    return this.#publishers[log].isOpen
  }

  /** Sends entries as soon as the channel takes them; never fails: what cannot be sent stays noted. */
  send(entries: readonly StoredEntry[]): void {
    for (const entry of entries) void this.#send(entry)
  }

  /** Sends entries and says how many were confirmed. */
  async sendAll(entries: readonly StoredEntry[]): Promise<number> {
    const results = await Promise.all(entries.map((entry) => this.#send(entry)))
    return results.filter(Boolean).length
  }

  /** Finishes entries that nobody has tried to send for `idleMs`. Returns how many it got confirmed. */
  async runOnce(idleMs: number): Promise<{ claimed: number; sent: number }> {
    let claimed = 0
    let sent = 0
    for (const tenant of this.#tenants) {
      for (const log of logs) {
        for (let shard = 0; shard < this.#shards; shard++) {
          while (this.isOpen(log) && !this.#isStuck(log)) {
            const entries = await this.#feed.claimUnsent(tenant, log, shard, idleMs, CLAIM)
            const mine = entries.filter((entry) => !this.#sending.has(keyOf(entry)))
            claimed += mine.length
            const confirmed = await this.sendAll(mine)
            sent += confirmed
            if (entries.length < CLAIM || confirmed === 0) break
          }
        }
      }
    }
    return { claimed, sent }
  }

  /**
   * Whether something sent has waited too long for its confirm. Then nothing is claimed: a claim
   * would keep entries from a relay, or a sweep, whose connection is alive.
   */
  #isStuck(log: Log): boolean {
    const before = performance.now() - MOMENT_MS
    for (const sending of this.#sending.values()) {
      if (sending.log === log && sending.since < before) return true
    }
    return false
  }

  #send(entry: StoredEntry): Promise<boolean> {
    const key = keyOf(entry)
    const known = this.#sending.get(key)
    if (known !== undefined) return known.done
    if (!this.isOpen(entry.log) || this.#sending.size >= MAX_WAITING) return Promise.resolve(false)
    const done = this.#publish(entry).finally(() => this.#sending.delete(key))
    this.#sending.set(key, { log: entry.log, since: performance.now(), done })
    return done
  }

  async #publish(entry: StoredEntry): Promise<boolean> {
    const { tenant, log, shard, position, body } = entry
    const kind = kindOf(body)
    try {
      const sent = await this.#publishers[log].publish({
        exchange: this.#names[log],
        routingKey: `${tenant}.${kind}`,
        type: `knell.${kind}`,
        messageId: `${tenant}.${log}.${shard}.${formatPosition(position)}`,
        body,
        signature: this.#signer?.sign('entry', body),
      })
      this.stats.published += 1
      if (sent === 'unroutable') this.stats.unroutable += 1
    } catch (error) {
      this.stats.failed += 1
      this.#log.debug({ err: error, tenant, log, shard }, 'entry not confirmed; it stays noted')
      return false
    }
    try {
      await this.#clear(entry)
    } catch (error) {
      // It was confirmed; the note that stays costs one more, harmless, publish.
      if (!isKnellError(error)) this.#log.debug({ err: error }, 'note not cleared')
    }
    return true
  }

  #clear(entry: StoredEntry): Promise<void> {
    const { tenant, log, shard } = entry
    const key = `${tenant}.${log}.${shard}`
    let group = this.#clears.get(key)
    if (group === undefined) {
      group = new GroupCommit<Position, void>({
        maxItems: 1000,
        write: async (positions) => {
          await this.#feed.clearUnsent(tenant, log, shard, positions)
          return positions.map(() => undefined)
        },
      })
      this.#clears.set(key, group)
    }
    return group.add(entry.position)
  }
}

function keyOf({ tenant, log, shard, position }: StoredEntry): string {
  return `${tenant}.${log}.${shard}.${formatPosition(position)}`
}

/** The kind stands in every body's head, before the events. */
function kindOf(body: string): string {
  return /"kind":"([a-z]+)"/.exec(body.slice(0, 400))?.[1] ?? 'unknown'
}
