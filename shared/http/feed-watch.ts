import type { FeedStore } from '../store/feed-store.ts'

/** How often the tails are looked at while somebody waits. */
const LOOK_MS = 100

interface Watched {
  readonly waiters: Set<() => void>
  tails: string
  timer: NodeJS.Timeout | undefined
}

/** Wakes long polls: at once for what this process commits, within a tenth of a second for what others do. */
export class FeedWatch {
  readonly #feed: FeedStore
  readonly #watched = new Map<string, Watched>()
  #stopped = false

  constructor(feed: FeedStore) {
    this.#feed = feed
  }

  /** Something of this tenant was committed here. */
  wake(tenant: string): void {
    for (const waiter of this.#watched.get(tenant)?.waiters ?? []) waiter()
  }

  /** Lets every long poll answer now. */
  stop(): void {
    this.#stopped = true
    for (const [tenant, watched] of this.#watched) {
      clearTimeout(watched.timer)
      this.wake(tenant)
    }
  }

  /** Resolves when the tails may have moved on, when `ms` have passed, or when the caller is gone. */
  async news(tenant: string, ms: number, gone: AbortSignal): Promise<void> {
    if (this.#stopped || gone.aborted || ms <= 0) return
    let watched = this.#watched.get(tenant)
    if (watched === undefined) {
      watched = { waiters: new Set(), tails: '', timer: undefined }
      this.#watched.set(tenant, watched)
    }
    const { waiters } = watched
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
      if (waiters.size === 1) this.#look(tenant, watched)
    })
  }

  #look(tenant: string, watched: Watched): void {
    clearTimeout(watched.timer)
    watched.timer = setTimeout(() => {
      void this.#compare(tenant, watched)
    }, LOOK_MS)
  }

  async #compare(tenant: string, watched: Watched): Promise<void> {
    try {
      const { tails } = await this.#feed.state(tenant)
      const text = JSON.stringify(tails)
      if (text !== watched.tails) {
        watched.tails = text
        this.wake(tenant)
      }
    } catch {
      // The waiter's own read will say what is wrong with the store.
      this.wake(tenant)
    }
    if (watched.waiters.size > 0 && !this.#stopped) this.#look(tenant, watched)
  }
}
