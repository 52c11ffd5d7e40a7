import type { FeedAnswer, FeedStore } from '../store/feed-store.ts'

/** How often the tails of a few tenants are looked at while somebody waits. */
const LOOK_MS = 100
/** However many tenants are waited for, so many shards are looked at per ms. */
const SHARDS_PER_MS = 8
/** Each so many looks are made by script: only that sees that the store is another one, which nobody has written to yet. */
const FULL_LOOK = 20

interface Watched {
  readonly waiters: Set<() => void>
  /** Counts the news, so that none between a read and the wait after it is missed. */
  mark: number
  tails: string
  looks: number
}

/**
 * Wakes long polls: at once for what this process commits, within a tenth of a second for what
 * others do. One loop looks for all tenants that are waited for, the less often the more they are.
 */
export class FeedWatch {
  readonly #feed: FeedStore
  readonly #shards: number
  readonly #watched = new Map<string, Watched>()
  readonly #reads = new Map<string, Promise<FeedAnswer>>()
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(feed: FeedStore, shards: number) {
    this.#feed = feed
    this.#shards = shards
  }

  /** Something of this tenant was committed here. */
  wake(tenant: string): void {
    const watched = this.#watched.get(tenant)
    if (watched === undefined) return
    watched.mark += 1
    for (const waiter of watched.waiters) waiter()
  }

  /** Lets every long poll answer now. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    for (const tenant of this.#watched.keys()) this.wake(tenant)
  }

  /** Where the news of a tenant stand; to be asked before reading what the wait is to come after. */
  mark(tenant: string): number {
    return this.#of(tenant).mark
  }

  /** Resolves when the tails may have moved on since `mark`, when `ms` have passed, or when the caller is gone. */
  async news(tenant: string, mark: number, ms: number, gone: AbortSignal): Promise<void> {
    const { waiters, mark: now } = this.#of(tenant)
    if (this.#stopped || gone.aborted || ms <= 0 || now !== mark) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        gone.removeEventListener('abort', done)
        waiters.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      gone.addEventListener('abort', done)
      waiters.add(done)
      this.#schedule()
    })
  }

  /**
   * Reads once for all who were woken by the same news and wait at the same place: a commit wakes
   * every instance of every service. Not for a caller's first read, whose time must be later than its call.
   */
  readTogether(
    tenant: string,
    place: string,
    mark: number,
    read: () => Promise<FeedAnswer>,
  ): Promise<FeedAnswer> {
    const key = `${tenant} ${mark} ${place}`
    let answer = this.#reads.get(key)
    if (answer === undefined) {
      answer = read().finally(() => this.#reads.delete(key))
      this.#reads.set(key, answer)
    }
    return answer
  }

  #of(tenant: string): Watched {
    let watched = this.#watched.get(tenant)
    if (watched === undefined) {
      // Begun at different counts, so that the looks by script do not come all at once.
      const looks = this.#watched.size % FULL_LOOK
      watched = { waiters: new Set(), mark: 0, tails: '', looks }
      this.#watched.set(tenant, watched)
    }
    return watched
  }

  #awaited(): [string, Watched][] {
    return [...this.#watched].filter(([, { waiters }]) => waiters.size > 0)
  }

  #schedule(): void {
    if (this.#stopped || this.#timer !== undefined) return
    const shards = this.#awaited().length * this.#shards
    if (shards === 0) return
    this.#timer = setTimeout(() => void this.#look(), planLookMs(shards))
  }

  async #look(): Promise<void> {
    const awaited = this.#awaited()
    try {
      const texts = await this.#feed.tailTexts(awaited.map(([tenant]) => tenant))
      for (const [i, [tenant, watched]] of awaited.entries()) {
        watched.looks += 1
        if (watched.looks % FULL_LOOK === 0) void this.#lookFully(tenant)
        this.#compare(tenant, watched, texts[i])
      }
    } catch {
      // The waiters' own reads will say what is wrong with the store.
      for (const [tenant] of awaited) this.wake(tenant)
    }
    this.#timer = undefined
    this.#schedule()
  }

  #compare(tenant: string, watched: Watched, tails: string | undefined): void {
    if (tails === watched.tails) return
    watched.tails = tails ?? ''
    this.wake(tenant)
  }

  /** Where it begins a new epoch, the next look sees it. */
  async #lookFully(tenant: string): Promise<void> {
    await this.#feed.state(tenant).catch(() => this.wake(tenant))
  }
}

/** How long to wait before so many shards are looked at (again). */
export function planLookMs(shards: number): number {
  return Math.max(LOOK_MS, shards / SHARDS_PER_MS)
}
