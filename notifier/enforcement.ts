import { comparePositions, formatPosition, type Position } from '../shared/domain/position.ts'
import type { AckEar, Heard } from '../shared/relay/ack-ear.ts'
import type { Instance, InstanceStore, Sender } from '../shared/store/instance-store.ts'
import type { RuleStore } from '../shared/store/rule-store.ts'

/** What a revocation waits for. */
export interface Wait {
  /** Every live instance, or so many. */
  readonly for: 'all' | number
  /** Only instances of these services. */
  readonly services?: readonly string[] | undefined
  readonly timeoutMs: number
}

/** The place of what is to be enforced. */
export interface Place {
  readonly shard: number
  readonly position: Position
  /** The revocation's id: after the store entered a new term it says whether the store still knows it. */
  readonly id: string
}

export interface Missing {
  readonly service: string
  readonly instance: string
  /** How long ago the store last heard of it, ms. */
  readonly lastSeenMs: number
  /** How many entries of that shard it lacks; null where it has said nothing, or speaks of another term. */
  readonly behind: number | null
}

/** How far a revocation is enforced. */
export interface Enforced {
  /** Whether all (or as many as asked for) have applied it. */
  readonly done: boolean
  /** Instances that could let a dead token in when it was committed, or since. */
  readonly live: number
  readonly applied: number
  readonly missing: readonly Missing[]
  /** From the commit's answer to this one. */
  readonly ms: number
  /** Present, and true, where the store lost the revocation meanwhile: then nothing is proved. */
  readonly lost?: true
}

/** The store is looked at this often besides: for acks given elsewhere, and for instances that leave. */
const LOOK_MS = 200

/** Waits until view instances have applied what was committed, and names those that have not. */
export class Enforcement {
  readonly #instances: InstanceStore
  readonly #rules: RuleStore
  readonly #ear: AckEar
  #stopped = new AbortController()

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
    const deadline = started + wait.timeoutMs
    const heard = new Map<string, Heard>()
    let wake: (() => void) | undefined
    const onHeard = (ofTenant: string, ack: Heard): void => {
      if (ofTenant !== tenant) return
      heard.set(nameOf(ack), ack)
      wake?.()
    }
    this.#ear.on('heard', onHeard)
    const stop = AbortSignal.any([gone, this.#stopped.signal])
    try {
      let instances = await this.#read(tenant, wait)
      let readAt = performance.now()
      for (;;) {
        const state = await this.#state(tenant, place, instances, heard)
        if (state.missing.some((one) => isUnbound(one, instances, heard))) {
          // Its first ack ever: the store says whose instance it is once it has taken it.
          await this.#ear.runOnce()
          for (const one of state.missing) heard.delete(nameOf(one))
          instances = await this.#read(tenant, wait)
          continue
        }
        const now = performance.now()
        const done = wait.for === 'all' ? state.missing.length === 0 : state.applied >= wait.for
        if ((done && state.lost === undefined) || now >= deadline || stop.aborted) {
          return { done: done && state.lost === undefined, ...state, ms: Math.round(now - started) }
        }
        const waitMs = Math.min(deadline - now, readAt + LOOK_MS - now)
        if (waitMs > 0) {
          await new Promise<void>((resolve) => {
            const timer = setTimeout(end, waitMs)
            stop.addEventListener('abort', end)
            function end(): void {
              clearTimeout(timer)
              stop.removeEventListener('abort', end)
              wake = undefined
              resolve()
            }
            wake = end
          })
        }
        if (performance.now() < readAt + LOOK_MS) continue
        instances = await this.#read(tenant, wait)
        readAt = performance.now()
      }
    } finally {
      this.#ear.off('heard', onHeard)
    }
  }

  async #read(tenant: string, { services }: Wait): Promise<Instance[]> {
    const { instances } = await this.#instances.live(tenant)
    return services === undefined
      ? instances
      : instances.filter(({ service }) => services.includes(service))
  }

  async #state(
    tenant: string,
    { shard, position, id }: Place,
    instances: readonly Instance[],
    heard: ReadonlyMap<string, Heard>,
  ): Promise<Omit<Enforced, 'done' | 'ms'>> {
    const missing: Missing[] = []
    let live = 0
    let later = false
    for (const instance of instances) {
      const ack = heard.get(nameOf(instance))
      const isOwn = ack !== undefined && isSame(instance, ack.by)
      if (isOwn && ack.left) continue
      live += 1
      const applied = newest(instance.applied?.[shard], isOwn ? ack.applied[shard] : undefined)
      if (applied !== undefined && comparePositions(applied, position) >= 0) {
        later ||= applied.term > position.term
        continue
      }
      missing.push({
        service: instance.service,
        instance: instance.instance,
        lastSeenMs: instance.silentMs,
        behind: applied?.term === position.term ? position.seq - applied.seq : null,
      })
    }
    const state = { live, applied: live - missing.length, missing }
    // A later term begins with a snapshot, which holds what the store holds: if it lost this, it proves nothing.
    const isLost = later && !(await this.#rules.has(tenant, shard, id))
    return isLost ? { ...state, lost: true } : state
  }
}

interface Named {
  readonly service: string
  readonly instance: string
}

function nameOf({ service, instance }: Named): string {
  return `${service} ${instance}`
}

/** Whether an instance was heard of whose user the store did not know when it was read. */
function isUnbound(
  missing: Named,
  instances: readonly Instance[],
  heard: ReadonlyMap<string, Heard>,
): boolean {
  const by = heard.get(nameOf(missing))?.by
  if (by === undefined || !('user' in by)) return false
  const name = nameOf(missing)
  return instances.some((each) => nameOf(each) === name && each.user === undefined)
}

/** Whether the ack came from whom the store knows as this instance. Until it knows, only the store's own word counts. */
function isSame({ user, key }: Instance, by: Sender): boolean {
  return 'user' in by ? by.user === user : by.key === key
}

function newest(a: Position | undefined, b: Position | undefined): Position | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return comparePositions(a, b) >= 0 ? a : b
}

export function placeOf(committed: {
  readonly shard: number
  readonly epoch: string
  readonly seq: number
  readonly ids: readonly string[]
}): Place {
  const { shard, epoch, seq, ids } = committed
  return {
    shard,
    position: { term: Number(epoch.split('.')[0]), seq },
    id: ids[0] ?? formatPosition({ term: 0, seq }),
  }
}
