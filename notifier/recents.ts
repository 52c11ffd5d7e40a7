import type { EntryOutline } from '../shared/domain/entry.ts'
import { FairRing } from '../shared/domain/fair-ring.ts'
import { formatPosition, termOf, type Position } from '../shared/domain/position.ts'
import type { Store } from '../shared/store/store.ts'
import type { Awaited, EnforcementWatch } from './enforcement-watch.ts'
import { thisMoment } from '../shared/process/this-moment.ts'

/** What this process knows of a recent entry of revocations. */
interface Recent extends Awaited {
  pushMs: number | null
}

/** What was measured of an entry, in ms from its commit by the store's clock; null where this process did not see it. */
export interface Measured {
  readonly pushMs: number | null
  readonly enforcedMs: number | null
}

const MAX_RECENT = 2000

/** Remembers recent revocations, whoever committed them, and how soon each was pushed and enforced. */
export class Recents {
  readonly #store: Store
  readonly #watch: EnforcementWatch
  readonly #tenants: ReadonlySet<string>
  readonly #onNew: (revocations: number) => void
  readonly #onPushed: (ms: number) => void
  /** When the newest entry of a tenant became known, monotonic ms. */
  readonly #newsAt = new Map<string, number>()
  readonly #recent = new FairRing<Recent>(MAX_RECENT)

  constructor(options: {
    store: Store
    watch: EnforcementWatch
    tenants: readonly string[]
    /** An entry is new to this process. `revocations`: how many events it has. */
    onNew: (revocations: number) => void
    /** An entry was heard back from RabbitMQ, for the first time. */
    onPushed: (ms: number) => void
  }) {
    this.#store = options.store
    this.#watch = options.watch
    this.#tenants = new Set(options.tenants)
    this.#onNew = options.onNew
    this.#onPushed = options.onPushed
  }

  /** This process has committed an entry. */
  committed(outline: EntryOutline): void {
    this.#know(outline)
  }

  /** An entry came back from RabbitMQ, whoever committed it. */
  heard(outline: EntryOutline): void {
    const { clock } = this.#store
    const recent = this.#know(outline)
    if (recent === undefined || recent.pushMs !== null || !clock.isSet) return
    recent.pushMs = Math.max(0, clock.estimate(thisMoment()) - recent.at)
    this.#onPushed(recent.pushMs)
  }

  /** What this process measured of an entry; undefined where it does not know it, or no more. */
  of(tenant: string, shard: number, position: Position): Measured | undefined {
    return this.#recent.get(tenant, keyOf(shard, position))
  }

  /** For how long (ms) nothing new of a tenant has become known to this process. */
  quietMs(tenant: string): number {
    return performance.now() - (this.#newsAt.get(tenant) ?? -Infinity)
  }

  #know({ tenant, shard, epoch, seq, at, ack, events }: EntryOutline): Recent | undefined {
    if (!this.#tenants.has(tenant)) return undefined
    const position = { term: termOf(epoch) ?? 0, seq }
    const key = keyOf(shard, position)
    const known = this.#recent.get(tenant, key)
    if (known !== undefined) return known
    const recent: Recent = {
      key,
      tenant,
      shard,
      position,
      at,
      isAsked: ack === true,
      since: performance.now(),
      pushMs: null,
      enforcedMs: null,
      lackedAt: 0,
    }
    this.#recent.add(tenant, key, recent)
    this.#newsAt.set(tenant, recent.since)
    this.#onNew(events.length)
    this.#watch.follow(recent)
    return recent
  }
}

function keyOf(shard: number, position: Position): string {
  return `${shard} ${formatPosition(position)}`
}
