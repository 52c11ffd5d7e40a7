import pLimit from 'p-limit'
import type { Position } from '../shared/domain/position.ts'
import type { AckEar, Heard } from '../shared/relay/ack-ear.ts'
import type { Instance, InstanceStore, Recorded } from '../shared/store/instance-store.ts'
import type { Store } from '../shared/store/store.ts'
import { LiveSet, type Spot } from './live-set.ts'
import { thisMoment } from '../shared/process/this-moment.ts'

/** An entry of revocations that is followed until every live instance has applied it. */
export interface Awaited {
  readonly key: string
  readonly tenant: string
  readonly shard: number
  readonly position: Position
  /** The store's time of the commit, ms. */
  readonly at: number
  /** Whether views were asked to say at once that they have applied it, so that it is known exactly when. */
  readonly isAsked: boolean
  /** Monotonic ms at which this process first knew of it. */
  readonly since: number
  enforcedMs: number | null
  /** When it was last seen that somebody lacked it, by the store's clock, ms. */
  lackedAt: number
}

/** Who is live in a tenant, and which of them lack what. */
export interface Standings {
  readonly live: number
  /** Whether every instance that lives has had the time to be heard of: not so in a store that has just begun a new term. */
  readonly isSettled: boolean
  /** Per spot the instances that have not said to have applied what is there. */
  readonly missing: readonly (readonly Instance[])[]
}

interface OfTenant {
  readonly live: LiveSet
  /** What not every live instance has applied yet, oldest first. */
  readonly pending: Map<string, Awaited>
  /** When that read began which the live set is from, monotonic ms. */
  begunAt: number
  /** When the last read began, whether it is back or not. */
  lookedAt: number
  timer: NodeJS.Timeout | undefined
  /** Whether acks were heard that have not been looked at. */
  isDirty: boolean
  waitMs: number
}

/** Past so many entries not enforced yet, of a process, the oldest are given up: it stays unknown how long they took. */
const MAX_PENDING = 1000
/** The live set of a tenant is read at most this often, and this often while something is not enforced; ever less, the longer nothing changes. */
const LOOK_MS = 500
const MAX_LOOK_MS = 10_000
/** Of many tenants each is looked at more rarely, so that all together cost the store little. */
const LOOK_EACH_MS = 5
/** What is not enforced after so long is given up: who is missing is told all the same, whenever somebody asks. */
const GIVE_UP_MS = 600_000
/** Live sets of so many tenants are read at once. */
const AT_ONCE = 8

/**
 * Follows entries of revocations until every live instance has applied each: an ack says so at once,
 * the store at the latest. As for a waiter, the live set counts only where it was read after the
 * commit, and not while the store may not know everybody yet.
 */
export class EnforcementWatch {
  readonly #store: Store
  readonly #instances: InstanceStore
  readonly #ear: AckEar
  readonly #onEnforced: (awaited: Awaited) => void
  readonly #tenants: ReadonlyMap<string, OfTenant>
  readonly #lookMs: number
  readonly #limit = pLimit(AT_ONCE)
  #pending = 0
  #settling: NodeJS.Immediate | undefined
  #stopped = false
  readonly #onHeard = (tenant: string, ack: Heard): void => this.#hear(tenant, ack)

  constructor(options: {
    store: Store
    instances: InstanceStore
    ear: AckEar
    tenants: readonly string[]
    onEnforced: (awaited: Awaited) => void
  }) {
    this.#store = options.store
    this.#instances = options.instances
    this.#ear = options.ear
    this.#onEnforced = options.onEnforced
    this.#lookMs = Math.max(LOOK_MS, options.tenants.length * LOOK_EACH_MS)
    this.#tenants = new Map(options.tenants.map((tenant) => [tenant, newTenant()]))
    this.#ear.on('heard', this.#onHeard)
  }

  stop(): void {
    this.#stopped = true
    this.#ear.off('heard', this.#onHeard)
    if (this.#settling !== undefined) clearImmediate(this.#settling)
    for (const { timer } of this.#tenants.values()) clearTimeout(timer)
  }

  /** Who is live now, and which of them have not applied what is at each spot. @throws KnellError `store_*` */
  async judge(tenant: string, spots: readonly Spot[]): Promise<Standings> {
    const state = this.#tenants.get(tenant)
    if (state === undefined) return { live: 0, isSettled: false, missing: spots.map(() => []) }
    await this.#read(tenant, state)
    const { live } = state
    return {
      live: live.size,
      isSettled: live.isSettled,
      missing: spots.map((spot) => live.missing(spot)),
    }
  }

  /** The store's time, as far as it is known. */
  #now(): number | undefined {
    const { clock } = this.#store
    return clock.isSet ? clock.estimate(thisMoment()) : undefined
  }

  /** Follows an entry from now on. */
  follow(recent: Awaited): void {
    const state = this.#tenants.get(recent.tenant)
    if (state === undefined || this.#stopped) return
    if (this.#pending >= MAX_PENDING) {
      // What was asked for is measured; of the rest the newest is as good as the oldest.
      if (!recent.isAsked) return
      const [oldest] = state.pending.values()
      if (oldest === undefined) return
      this.#settled(state, oldest)
    }
    state.pending.set(recent.key, recent)
    this.#pending += 1
    state.waitMs = this.#lookMs
    this.#lookSoon(recent.tenant, state)
  }

  /** As soon as the last look is long enough ago. */
  #lookSoon(tenant: string, state: OfTenant): void {
    const sinceLook = performance.now() - state.lookedAt
    this.#look(tenant, state, Math.max(0, this.#lookMs - sinceLook))
  }

  #settled(state: OfTenant, { key }: Awaited): void {
    if (state.pending.delete(key)) this.#pending -= 1
  }

  #hear(tenant: string, ack: Heard): void {
    const state = this.#tenants.get(tenant)
    const now = this.#now()
    if (state === undefined || now === undefined) return
    state.live.hear(ack, now)
    if (state.pending.size === 0) return
    state.isDirty = true
    // What a fleet says at once is looked at once.
    this.#settling ??= setImmediate(() => {
      this.#settling = undefined
      for (const [name, each] of this.#tenants) if (each.isDirty) this.#settle(name, each)
    })
  }

  /** Looks at the live set soon; a look that is planned for later is brought forward. */
  #look(tenant: string, state: OfTenant, ms: number): void {
    clearTimeout(state.timer)
    if (this.#stopped) return
    state.timer = setTimeout(() => {
      state.timer = undefined
      void this.#pass(tenant, state)
    }, ms)
  }

  async #pass(tenant: string, state: OfTenant): Promise<void> {
    try {
      await this.#limit(() => this.#read(tenant, state))
    } catch {
      // The store is away; it is looked at again.
    }
    if (this.#stopped || state.pending.size === 0 || state.timer !== undefined) return
    this.#look(tenant, state, state.waitMs)
    state.waitMs = Math.max(this.#lookMs, Math.min(2 * state.waitMs, MAX_LOOK_MS))
  }

  async #read(tenant: string, state: OfTenant): Promise<void> {
    const begunAt = performance.now()
    state.lookedAt = begunAt
    const recorded = await this.#instances.live(tenant)
    if (!this.#count(state, recorded, begunAt)) return
    if (state.live.isUnbound) {
      // An instance's first ack ever: the store says whose it is once it has taken it.
      await this.#ear.runOnce()
      this.#count(state, await this.#instances.live(tenant), begunAt)
    }
    this.#settle(tenant, state)
  }

  /** Whether this read is news. */
  #count(state: OfTenant, recorded: Recorded, begunAt: number): boolean {
    // Of two reads under way the later one says more.
    if (begunAt < state.begunAt) return false
    state.begunAt = begunAt
    state.live.count(recorded, recorded.at)
    return true
  }

  #settle(tenant: string, state: OfTenant): void {
    state.isDirty = false
    if (state.live.isUnbound && state.pending.size > 0) this.#lookSoon(tenant, state)
    const { live, pending, begunAt } = state
    if (!live.isSettled) return
    const at = this.#now()
    if (at === undefined) return
    const floors = new Map<number, ReturnType<LiveSet['floor']>>()
    const now = performance.now()
    for (const recent of pending.values()) {
      const { shard, position } = recent
      // Whoever joined before the commit is surely in a set that was read after it.
      if (begunAt < recent.since) continue
      if (!floors.has(shard)) floors.set(shard, live.floor(shard))
      const floor = floors.get(shard)
      const isOver = live.size === 0 || now - recent.since > GIVE_UP_MS
      // Of another term nobody can tell whether it contains this: the store may have lost it.
      const isForeign = floor !== undefined && floor.position.term > position.term
      if (isOver || isForeign) this.#settled(state, recent)
      if (floor?.position.term !== position.term || floor.position.seq < position.seq) {
        recent.lackedAt = at
        continue
      }
      this.#settled(state, recent)
      // Where nobody said anything since, who lacked it has left the set: it is enforced since then.
      const since = floor.at >= recent.lackedAt ? floor.at : at
      recent.enforcedMs = Math.max(0, since - recent.at)
      this.#onEnforced(recent)
    }
  }
}

function newTenant(): OfTenant {
  return {
    live: new LiveSet(),
    pending: new Map(),
    begunAt: Number.NEGATIVE_INFINITY,
    lookedAt: Number.NEGATIVE_INFINITY,
    timer: undefined,
    isDirty: false,
    waitMs: LOOK_MS,
  }
}
