import pLimit from 'p-limit'
import type { Logger } from 'pino'
import type { Broker } from '../broker/broker.ts'
import { Publisher } from '../broker/publisher.ts'
import { isKnellError } from '../domain/errors.ts'
import { beatKey, type Names } from '../domain/names.ts'
import { WIRE_VERSION } from '../domain/entry.ts'
import type { FeedStore } from '../store/feed-store.ts'
import type { EventSigner } from '../signing/event-signer.ts'
import { Loop } from './loop.ts'

/** So many tenants are beaten for at once: enough to keep the store busy, few enough that a revocation need not wait behind them. */
const AT_ONCE = 16
/** After this long a tenant's beat goes on without keeping the others waiting. */
const PATIENCE_MS = 250
/** While a beat has waited this long for its confirm, no other is claimed. */
const CONFIRM_MS = 500

/**
 * Sends beats: per tenant the tails of all shards at a store time. Among all processes one sends
 * per interval: the store gives the claim, and only a process whose channel is open with no
 * unconfirmed beat asks for it. A pass beats for many tenants at once; one that is slow or fails
 * keeps no other waiting.
 */
export class Beater {
  readonly #feed: FeedStore
  readonly #names: Names
  readonly #tenants: readonly string[]
  readonly #publisher: Publisher
  readonly #loop: Loop
  readonly #log: Logger
  readonly #intervalMs: number
  readonly #signer: EventSigner | undefined
  readonly #mayBeat: (tenant: string) => boolean
  readonly #busy = new Map<string, Promise<void>>()
  /** Tenants whose last try failed: they are tried on the side, so that their time-outs cost the others nothing. */
  readonly #failing = new Set<string>()
  readonly #well = pLimit(AT_ONCE)
  readonly #ill = pLimit(AT_ONCE)
  /** When each beat that waits for its confirm was published, oldest first. */
  readonly #unconfirmed = new Map<string, number>()
  #stopping = false
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
    this.#log = options.log
    this.#signer = options.signer
    this.#mayBeat = options.mayBeat ?? (() => true)
    this.#publisher = new Publisher(options.broker)
    // Half the interval, so that a claim that another process lost is taken up soon.
    this.#loop = new Loop('beat', options.intervalMs / 2, () => this.runOnce(), options.log)
  }

  start(): void {
    this.#loop.start()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#loop.stop()
    await Promise.all(this.#busy.values())
  }

  /** Beats for every tenant whose turn it is; returns how many beats were confirmed meanwhile. */
  async runOnce(): Promise<number> {
    if (!this.#publisher.isOpen || this.#publisher.unconfirmed > 0) return 0
    const before = this.sent
    const idle = this.#tenants.filter((tenant) => !this.#busy.has(tenant) && this.#mayBeat(tenant))
    const due = await this.#feed.beatsDue(idle, this.#intervalMs * 0.95)
    const well = due.filter((tenant) => !this.#failing.has(tenant))
    for (const tenant of due) {
      if (this.#failing.has(tenant)) void this.#begin(tenant, (beat) => this.#ill(beat))
    }
    await Promise.all(
      well.map((tenant) =>
        this.#well(() =>
          within(
            PATIENCE_MS,
            this.#begin(tenant, (beat) => beat()),
          ),
        ),
      ),
    )
    return this.sent - before
  }

  /** Never fails: a beat that could not be sent is sent at the next turn. */
  async #begin(tenant: string, run: (beat: () => Promise<void>) => Promise<void>): Promise<void> {
    const beat = run(() => this.#tryBeat(tenant))
    this.#busy.set(tenant, beat)
    await beat
    this.#busy.delete(tenant)
  }

  async #tryBeat(tenant: string): Promise<void> {
    try {
      await this.#beat(tenant)
      this.#failing.delete(tenant)
    } catch (error) {
      this.#failing.add(tenant)
      const level = isKnellError(error) && error.retryable ? 'debug' : 'error'
      this.#log[level]({ err: error, tenant }, 'beat: one failed; the next turn tries again')
    }
  }

  async #beat(tenant: string): Promise<void> {
    if (!this.#mayClaim()) return
    const state = await this.#feed.claimBeat(tenant, this.#intervalMs * 0.95)
    if (state === undefined) return
    const { at, tails, maxTokenTtl } = state
    const body = JSON.stringify({ v: WIRE_VERSION, tenant, at, tails, maxTokenTtl })
    this.#unconfirmed.set(tenant, performance.now())
    try {
      await this.#publisher.publish({
        exchange: this.#names.control,
        routingKey: beatKey(tenant),
        type: 'knell.beat',
        body,
        signature: this.#signer?.sign('beat', body),
        transient: true,
      })
    } finally {
      this.#unconfirmed.delete(tenant)
    }
    this.sent += 1
  }

  /** A claim by a process whose beats do not get through would keep the others silent. */
  #mayClaim(): boolean {
    const [oldest] = this.#unconfirmed.values()
    const isStuck = oldest !== undefined && performance.now() - oldest > CONFIRM_MS
    return this.#publisher.isOpen && !isStuck && !this.#stopping
  }
}

/** Waits for work, but only for a while. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, enough])
  clearTimeout(timer)
}
