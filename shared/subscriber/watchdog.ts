import type { StoreClock } from '../domain/store-clock.ts'
import type { Follower } from './follower.ts'
import type { Push } from './push.ts'
import { thisMoment } from '../process/this-moment.ts'

const TICK_MS = 1000
const PRUNE_PER_TICK = 20_000
/** A connection on which no beat comes is made anew about this often, at random so that a fleet does not do it at once. */
const RENEW_PUSH_MS = 20_000

/** Looks after the views once a second: whether beats come, whether they are stale, and what can be forgotten. */
export class Watchdog {
  readonly #followers: ReadonlyMap<string, Follower>
  readonly #push: Push
  readonly #clock: StoreClock
  readonly #maxStaleness: number
  readonly #onStale: (tenant: string, staleMs: number) => void
  readonly #onFresh: (tenant: string) => void
  readonly #stale = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #renewAt = Infinity

  constructor(options: {
    followers: ReadonlyMap<string, Follower>
    push: Push
    clock: StoreClock
    maxStaleness: number
    onStale: (tenant: string, staleMs: number) => void
    onFresh: (tenant: string) => void
  }) {
    this.#followers = options.followers
    this.#push = options.push
    this.#clock = options.clock
    this.#maxStaleness = options.maxStaleness
    this.#onStale = options.onStale
    this.#onFresh = options.onFresh
  }

  start(): void {
    this.#timer ??= setInterval(() => this.runOnce(), TICK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  runOnce(): void {
    const now = thisMoment()
    this.#listen(now.mono)
    for (const [tenant, follower] of this.#followers) {
      const { view } = follower
      if (!view.ready) continue
      if (follower.presence.needsPull(now)) follower.wake()
      const staleMs = follower.staleMs(now)
      const isStale = staleMs > this.#maxStaleness || follower.isUnheard(now)
      if (isStale && !this.#stale.has(tenant)) {
        this.#stale.add(tenant)
        this.#onStale(tenant, staleMs)
      } else if (!isStale && this.#stale.delete(tenant)) this.#onFresh(tenant)
      view.rules.prune(Math.floor(this.#clock.earliest(now) / 1000), PRUNE_PER_TICK)
    }
  }

  /** Where a tenant's beats stay away though the connection is up, something on the way may have been deleted. */
  #listen(now: number): void {
    const overwhelmed = this.#push.isOverwhelmed
    let silent = 0
    for (const follower of this.#followers.values()) silent += follower.listen(overwhelmed) ? 1 : 0
    if (silent === 0 || !this.#push.isUp) {
      this.#renewAt = now + RENEW_PUSH_MS * (0.5 + Math.random())
    } else if (now > this.#renewAt) {
      this.#renewAt = now + RENEW_PUSH_MS * (1 + Math.random())
      this.#push.renew()
    }
  }
}
