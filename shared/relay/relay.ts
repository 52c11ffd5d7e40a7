import type { Logger } from 'pino'
import type { Broker } from '../broker/broker.ts'
import { Publisher } from '../broker/publisher.ts'
import { kindIn } from '../domain/entry.ts'
import { isKnellError } from '../domain/errors.ts'
import type { Names } from '../domain/names.ts'
import { FairTurns } from '../domain/fair-turns.ts'
import { formatPlace, type Log, type Position } from '../domain/position.ts'
import type { FeedStore, UnsentPlace } from '../store/feed-store.ts'
import { GroupCommit } from '../store/group-commit.ts'
import type { EventSigner } from '../signing/event-signer.ts'
import type { StoredEntry } from '../store/rule-commit.ts'
import { inPublishSpan } from '../tracing/publish-span.ts'
import { Loop } from './loop.ts'
import { rotateAll } from './rotate.ts'

/** An entry that nobody has tried to send for this long is anybody's to finish. */
const MOMENT_MS = 1000
/** How many entries of a log are unconfirmed at once; of one tenant fewer, where there are others. */
const WINDOWS: Readonly<Record<Log, { all: number; each: number }>> = {
  revocations: { all: 100, each: 32 },
  expiries: { all: 32, each: 16 },
}
/** Past so many entries of a tenant waiting for the broker, or so many of all, more are left to the notes in the store. */
const MAX_WAITING = { each: 500, inAll: 1000, reserved: 4 } as const
/** Few enough that all that is claimed at once finds room to wait. */
const CLAIM = 50
/** So many shards are looked after at once by what finishes left entries. */
const AT_ONCE = 16
/** A pass over what was left ends after this long, and looks anew for what else was left after each second. */
const PASS_MS = 10_000

/** What became of an entry that was published. `nacked`: refused, or not confirmed; it stays noted. */
export type Published = 'routed' | 'unroutable' | 'nacked'

export interface RelayStats {
  published: number
  unroutable: number
  failed: number
}

/**
 * Publishes entries with confirms and clears their notes in the store. Each log has a channel of
 * its own, so that a flood of expiries does not delay a revocation, and each tenant a lane of its
 * own in it, so that a flood of one tenant delays no other. Nothing rests on this memory: what it
 * forgets is still noted, and any relay finishes it.
 */
export class Relay {
  readonly stats: RelayStats = { published: 0, unroutable: 0, failed: 0 }
  readonly #feed: FeedStore
  readonly #names: Names
  readonly #tenants: readonly string[]
  readonly #signer: EventSigner | undefined
  readonly #log: Logger
  readonly #onPublished: (kind: string, what: Published, ms: number) => void
  readonly #publishers: Readonly<Record<Log, Publisher>>
  readonly #clears = new Map<string, GroupCommit<Position, void>>()
  readonly #turns: Readonly<Record<Log, FairTurns>>
  readonly #sending = new Map<string, Promise<boolean>>()
  /** When each entry now at the broker went out, oldest first. */
  readonly #published: Readonly<Record<Log, Map<string, number>>> = {
    revocations: new Map(),
    expiries: new Map(),
  }
  readonly #moved = new Set<() => void>()
  #stopping = false
  readonly #loop: Loop

  constructor(options: {
    feed: FeedStore
    broker: Broker
    names: Names
    tenants: readonly string[]
    signer?: EventSigner | undefined
    log: Logger
    /** Told of each entry: what became of it, and after how long. */
    onPublished?: (kind: string, what: Published, ms: number) => void
  }) {
    this.#feed = options.feed
    this.#names = options.names
    this.#tenants = options.tenants
    this.#signer = options.signer
    this.#log = options.log
    this.#onPublished = options.onPublished ?? (() => {})
    const publisherOf = (log: Log): Publisher =>
      new Publisher(options.broker, { window: WINDOWS[log].all })
    this.#publishers = {
      revocations: publisherOf('revocations'),
      expiries: publisherOf('expiries'),
    }
    const turnsOf = (log: Log): FairTurns => {
      const { all, each } = WINDOWS[log]
      return new FairTurns({
        places: all,
        each: options.tenants.length > 1 ? each : all,
        waiting: MAX_WAITING.each,
        waitingInAll: MAX_WAITING.inAll,
        reserved: MAX_WAITING.reserved,
      })
    }
    this.#turns = { revocations: turnsOf('revocations'), expiries: turnsOf('expiries') }
    const pass = async (): Promise<void> => {
      const { problem } = await this.runOnce(MOMENT_MS)
      if (problem !== undefined) throw problem
    }
    this.#loop = new Loop('relay', MOMENT_MS, pass, options.log)
  }

  start(): void {
    this.#loop.start()
  }

  /** Stops finishing what others left, and waits for what is on its way. */
  async stop(): Promise<void> {
    this.#stopping = true
    await this.#loop.stop()
    await this.settled()
  }

  async settled(): Promise<void> {
    while (this.#sending.size > 0) await this.#move()
  }

  /** Waits until at most `most` entries of a tenant's log are on their way. */
  async room(tenant: string, log: Log, most: number): Promise<void> {
    while (this.#turns[log].of(tenant) > most) await this.#move()
  }

  /** Resolves when some entry has been confirmed or given up. */
  #move(): Promise<void> {
    return new Promise((resolve) => {
      this.#moved.add(resolve)
    })
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

  /**
   * Finishes entries that nobody has tried to send for `idleMs`. Returns how many it got confirmed,
   * and what went wrong, where something did, in some shard.
   */
  async runOnce(idleMs: number): Promise<{ claimed: number; sent: number; problem?: Error }> {
    const started = performance.now()
    const total = { claimed: 0, sent: 0 }
    const done = await rotateAll(
      () => this.#feed.withUnsent(this.#tenants),
      {
        atOnce: AT_ONCE,
        lookMs: MOMENT_MS,
        keyOf: ({ tenant, log, shard }) => `${tenant}.${log}.${shard}`,
        isOver: () => this.#stopping || performance.now() - started > PASS_MS,
      },
      (place) => this.#finish(place, idleMs, total),
    )
    return { ...total, ...done }
  }

  /** Sends one batch of what was left of a shard and log; says whether there may be more. */
  async #finish(
    { tenant, log, shard }: UnsentPlace,
    idleMs: number,
    total: { claimed: number; sent: number },
  ): Promise<boolean> {
    if (!this.isOpen(log) || this.#isStuck(log)) return false
    if (this.#turns[log].of(tenant) > MAX_WAITING.each / 2) {
      await this.#move()
      return true
    }
    const entries = await this.#feed.claimUnsent(tenant, log, shard, idleMs, CLAIM)
    const mine = entries.filter((entry) => !this.#sending.has(formatPlace(entry)))
    total.claimed += mine.length
    const confirmed = await this.sendAll(mine)
    total.sent += confirmed
    return entries.length === CLAIM && confirmed > 0
  }

  /**
   * Whether something published has waited too long for its confirm. Then nothing is claimed: a
   * claim would keep entries from a relay, or a sweep, whose connection is alive.
   */
  #isStuck(log: Log): boolean {
    const [oldest] = this.#published[log].values()
    return oldest !== undefined && oldest < performance.now() - MOMENT_MS
  }

  /** Publishes at once where the tenant has a place, in the same stack; else when its turn comes. */
  #send(entry: StoredEntry): Promise<boolean> {
    const key = formatPlace(entry)
    const known = this.#sending.get(key)
    if (known !== undefined) return known
    const { tenant, log } = entry
    if (!this.isOpen(log)) return Promise.resolve(false)
    const turns = this.#turns[log]
    const done = new Promise<boolean>((resolve) => {
      const start = (): void => {
        this.#published[log].set(key, performance.now())
        const published = this.#publish(entry)
        void published.finally(() => {
          this.#published[log].delete(key)
          turns.leave(tenant)
        })
        resolve(published.then((sent) => (sent ? this.#clear(entry) : false)))
      }
      if (turns.enter(tenant, start) === undefined) resolve(false)
    }).finally(() => {
      this.#sending.delete(key)
      for (const moved of this.#moved) moved()
      this.#moved.clear()
    })
    this.#sending.set(key, done)
    return done
  }

  /** Whether RabbitMQ confirmed the entry. */
  async #publish(entry: StoredEntry): Promise<boolean> {
    const { tenant, log, shard, body } = entry
    // The broker may have gone while the entry waited for its turn.
    if (!this.isOpen(log)) return false
    const kind = kindIn(body)
    const started = performance.now()
    try {
      const message = {
        exchange: this.#names[log],
        routingKey: `${tenant}.${kind}`,
        type: `knell.${kind}`,
        messageId: formatPlace(entry),
        body,
        signature: this.#signer?.sign('entry', body),
      }
      const sent = await inPublishSpan(message, entry, (trace) =>
        this.#publishers[log].publish({ ...message, trace }),
      )
      this.stats.published += 1
      if (sent === 'unroutable') this.stats.unroutable += 1
      this.#onPublished(kind, sent, performance.now() - started)
      return true
    } catch (error) {
      this.stats.failed += 1
      this.#onPublished(kind, 'nacked', performance.now() - started)
      this.#log.debug({ err: error, tenant, log, shard }, 'entry not confirmed; it stays noted')
      return false
    }
  }

  /** Clears the note of a confirmed entry. One that stays costs one more, harmless, publish. */
  async #clear(entry: StoredEntry): Promise<boolean> {
    try {
      await this.#clearNote(entry)
    } catch (error) {
      if (!isKnellError(error)) this.#log.debug({ err: error }, 'note not cleared')
    }
    return true
  }

  #clearNote(entry: StoredEntry): Promise<void> {
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
