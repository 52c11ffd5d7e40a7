import type { Entry, Kind } from '../../domain/entry.ts'
import type { Log } from '../../domain/position.ts'

/** What a service's handlers have done with one shard's entries, as acks carry it. */
export interface HandledItem {
  readonly log: Log
  readonly shard: number
  readonly epoch: string
  readonly upTo: 0
  /** Per seq the indexes of events handled or given up; an empty list stands for all of the entry. */
  readonly done: Readonly<Record<string, readonly number[]>>
  /** Per seq the ms until failed events of it are tried again. */
  readonly retrying?: Readonly<Record<string, number>>
}

/** What the service's handlers are for. */
export interface Handles {
  readonly kinds: readonly Kind[]
  readonly maxAttempts: number
}

/** Tells the store. Rejects where it was not taken; `unregistered` where the store does not know what the service handles. */
export type Report = (
  tenant: string,
  items: readonly HandledItem[],
  handles?: Handles,
) => Promise<'taken' | 'unregistered'>

const INTERVAL_MS = 1000
const MAX_BACKOFF_MS = 30_000
/** So many entries go into one report. */
const PER_REPORT = 500
/** Past so many entries the oldest are forgotten: they are sent again, which does no harm. */
const MAX_KEPT = 100_000
/** The registration is repeated this often, since a store may have been emptied. */
const REJOIN_MS = 60_000

type Done = 'all' | Set<number>

interface Noted {
  readonly tenant: string
  readonly log: Log
  readonly shard: number
  readonly epoch: string
  readonly seq: number
  done: Done
  /** Monotonic ms. */
  retryAt: number | undefined
}

/** Collects what is handled and reports it once a second. What was not taken is kept and reported again. */
export class HandledReporter {
  readonly #tenants: readonly string[]
  readonly #report: Report
  readonly #handles: () => Handles
  readonly #onProblem: (error: unknown) => void
  readonly #noted = new Map<string, Noted>()
  readonly #joinedAt = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #backoffMs = 0
  #stopped = false
  #onJoined: (() => void)[] = []

  constructor(options: {
    tenants: readonly string[]
    report: Report
    handles: () => Handles
    onProblem: (error: unknown) => void
  }) {
    this.#tenants = options.tenants
    this.#report = options.report
    this.#handles = options.handles
    this.#onProblem = options.onProblem
  }

  /** These events of an entry need nothing more. */
  done(entry: Entry, indexes: 'all' | readonly number[]): void {
    if (indexes.length === 0) return
    const noted = this.#note(entry)
    if (indexes === 'all') noted.done = 'all'
    else if (noted.done !== 'all') for (const index of indexes) noted.done.add(index)
  }

  /** Failed events of an entry are tried again in so many ms. */
  retrying(entry: Entry, ms: number): void {
    this.#note(entry).retryAt = performance.now() + ms
  }

  #note({ tenant, log, shard, epoch, seq }: Entry): Noted {
    const key = `${tenant} ${log} ${shard} ${epoch} ${seq}`
    let noted = this.#noted.get(key)
    if (noted === undefined) {
      noted = { tenant, log, shard, epoch, seq, done: new Set(), retryAt: undefined }
      this.#noted.set(key, noted)
      if (this.#noted.size > MAX_KEPT) {
        const [oldest] = this.#noted.keys()
        if (oldest !== undefined) this.#noted.delete(oldest)
      }
    }
    return noted
  }

  /** How many entries are still to be reported. */
  get waiting(): number {
    return this.#noted.size
  }

  start(): void {
    this.#schedule(0)
  }

  /** Registers what is handled, and resolves when the store knows of it for every tenant. */
  join(): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    this.#joinedAt.clear()
    return new Promise((resolve) => {
      this.#onJoined.push(resolve)
      this.#backoffMs = 0
      this.#schedule(0)
    })
  }

  #schedule(ms: number): void {
    if (this.#stopped || this.#running !== undefined) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#running = this.runOnce().finally(() => {
        this.#running = undefined
        const isHurried = this.#onJoined.length > 0 && this.#backoffMs === 0
        this.#schedule(isHurried ? 0 : Math.max(INTERVAL_MS, this.#backoffMs))
      })
    }, ms)
  }

  /** Reports what there is. Never rejects. */
  async runOnce(): Promise<void> {
    const joining = this.#onJoined.length
    let failed: unknown
    for (const tenant of this.#tenants) {
      try {
        await this.#reportTenant(tenant)
      } catch (error) {
        failed ??= error
      }
    }
    if (failed === undefined) {
      this.#backoffMs = 0
      for (const resolve of this.#onJoined.splice(0, joining)) resolve()
      return
    }
    this.#backoffMs = Math.min(Math.max(2 * this.#backoffMs, INTERVAL_MS), MAX_BACKOFF_MS)
    this.#onProblem(failed)
  }

  async #reportTenant(tenant: string): Promise<void> {
    const joinedAt = this.#joinedAt.get(tenant) ?? -Infinity
    let isJoin = performance.now() - joinedAt > REJOIN_MS
    for (;;) {
      const taken = this.#take(tenant)
      if (taken.length === 0 && !isJoin) return
      const handles = isJoin ? this.#handles() : undefined
      const startedAt = performance.now()
      let word
      try {
        word = await this.#report(tenant, toItems(taken), handles)
      } catch (error) {
        this.#putBack(taken)
        throw error
      }
      if (word === 'unregistered' && !isJoin) {
        // The store was emptied: it is told at once, with the same report, since that says so too.
        this.#putBack(taken)
        isJoin = true
        continue
      }
      if (isJoin) this.#joinedAt.set(tenant, startedAt)
      isJoin = false
      if (taken.length < PER_REPORT) return
    }
  }

  #take(tenant: string): Noted[] {
    const taken: Noted[] = []
    for (const [key, noted] of this.#noted) {
      if (noted.tenant !== tenant) continue
      this.#noted.delete(key)
      if (taken.push(noted) >= PER_REPORT) break
    }
    return taken
  }

  #putBack(taken: readonly Noted[]): void {
    for (const { tenant, log, shard, epoch, seq, done, retryAt } of taken) {
      const key = `${tenant} ${log} ${shard} ${epoch} ${seq}`
      const newer = this.#noted.get(key)
      if (newer === undefined) {
        if (this.#noted.size < MAX_KEPT) {
          this.#noted.set(key, { tenant, log, shard, epoch, seq, done, retryAt })
        }
      } else {
        newer.done =
          done === 'all' || newer.done === 'all' ? 'all' : new Set([...done, ...newer.done])
        newer.retryAt ??= retryAt
      }
    }
  }

  /** Reports what is left, once. */
  async close(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#running
    if (this.#noted.size > 0) await this.runOnce()
    for (const resolve of this.#onJoined.splice(0)) resolve()
  }
}

function toItems(noted: readonly Noted[]): HandledItem[] {
  const now = performance.now()
  const byShard = new Map<string, Noted[]>()
  for (const one of noted) {
    const key = `${one.log} ${one.shard} ${one.epoch}`
    const group = byShard.get(key)
    if (group === undefined) byShard.set(key, [one])
    else group.push(one)
  }
  return [...byShard.values()].map((group) => {
    const [{ log, shard, epoch } = { log: 'revocations' as Log, shard: 0, epoch: '' }] = group
    const done: Record<string, number[]> = {}
    const retrying: Record<string, number> = {}
    for (const one of group) {
      if (one.done === 'all') done[one.seq] = []
      else if (one.done.size > 0) done[one.seq] = [...one.done].sort((a, b) => a - b)
      if (one.retryAt !== undefined && one.done !== 'all') {
        retrying[one.seq] = Math.max(0, Math.round(one.retryAt - now))
      }
    }
    const isRetrying = Object.keys(retrying).length > 0
    return { log, shard, epoch, upTo: 0, done, ...(isRetrying ? { retrying } : {}) }
  })
}
