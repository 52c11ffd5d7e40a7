import type { Match } from '../shared/domain/claims.ts'
import { formatPosition } from '../shared/domain/position.ts'
import type { AckEar, Heard } from '../shared/relay/ack-ear.ts'
import type { InstanceStore, Recorded } from '../shared/store/instance-store.ts'
import type { Committed } from '../shared/store/changes.ts'
import type { RuleStore } from '../shared/store/rule-store.ts'
import { SharedRead } from '../shared/store/shared-read.ts'
import { Waiter, type Enforced, type Place, type Wait } from './waiter.ts'

/** The store is looked at this often besides: for acks given elsewhere, and for instances that leave. */
const LOOK_MS = 200

/** Waits until view instances have applied what was committed, and names those that have not. */
export class Enforcement {
  readonly #instances: InstanceStore
  readonly #rules: RuleStore
  readonly #ear: AckEar
  readonly #reads = new Map<string, SharedRead<Recorded>>()
  readonly #stopped = new AbortController()

  constructor(options: { instances: InstanceStore; rules: RuleStore; ear: AckEar }) {
    this.#instances = options.instances
    this.#rules = options.rules
    this.#ear = options.ear
  }

  /** Lets every waiter answer now. */
  stop(): void {
    this.#stopped.abort()
  }

  /** To be called after the commit: the live set is read from the store. Ends at the time-out, or when the caller is gone. */
  async wait(tenant: string, place: Place, wait: Wait, gone: AbortSignal): Promise<Enforced> {
    const started = performance.now()
    const stop = AbortSignal.any([gone, this.#stopped.signal])
    const waiter = new Waiter(place, wait)
    const onHeard = (ofTenant: string, ack: Heard): void => {
      if (ofTenant === tenant) waiter.hear(ack)
    }
    this.#ear.on('heard', onHeard)
    try {
      waiter.count(await this.#live(tenant, 0))
      for (;;) {
        if (waiter.isUnbound) {
          // An instance's first ack ever: the store says whose it is once it has taken it.
          await this.#ear.runOnce()
          waiter.count(await this.#live(tenant, 0))
        }
        const now = performance.now()
        const isOver = now >= started + wait.timeoutMs || stop.aborted
        if (waiter.isDone || isOver) {
          // What was lifted, or lost with the store, meanwhile is enforced nowhere, whoever has seen it.
          const { shard, match, id } = place
          const standing = await this.#rules.standing(tenant, shard, match, id)
          return waiter.answer(standing, Math.round(performance.now() - started))
        }
        const left = started + wait.timeoutMs - now
        if (await waiter.news(Math.min(left, LOOK_MS), stop)) continue
        waiter.count(await this.#live(tenant, LOOK_MS))
      }
    } finally {
      this.#ear.off('heard', onHeard)
    }
  }

  /** The live set, read after this call, or at most `maxAgeMs` before. All waiters of a tenant share the reads. */
  #live(tenant: string, maxAgeMs: number): Promise<Recorded> {
    let reads = this.#reads.get(tenant)
    if (reads === undefined) {
      reads = new SharedRead(() => this.#instances.live(tenant))
      this.#reads.set(tenant, reads)
    }
    return reads.read(maxAgeMs)
  }
}

export function placeOf(match: Match, { shard, epoch, seq, ids }: Committed): Place {
  const position = { term: Number(epoch.split('.')[0]), seq }
  return { shard, match, position, id: ids[0] ?? formatPosition(position) }
}
