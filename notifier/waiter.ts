import { comparePositions, type Position } from '../shared/domain/position.ts'
import type { Match } from '../shared/domain/claims.ts'
import type { Heard } from '../shared/relay/ack-ear.ts'
import type { Instance, Recorded } from '../shared/store/instance-store.ts'

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
  readonly match: Match
  readonly position: Position
  /** The id of the revocation or hold: at the end the store says whether it still stands. */
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
  /** Services that were named and have no live instance: nothing is proved of them. Absent where there are none. */
  readonly absent?: readonly string[]
  /** Present, and true, where the store lost the revocation meanwhile: then nothing is proved. */
  readonly lost?: true
  /** Present, and true, where it was restored or released meanwhile. */
  readonly lifted?: true
}

/** What one wait knows: who is live, and who has applied it. */
export class Waiter {
  readonly #place: Place
  readonly #wait: Wait
  readonly #heard = new Map<string, Heard>()
  #instances = new Map<string, Instance>()
  /** The live ones that have not applied it, with what they have. */
  #missing = new Map<string, Position | undefined>()
  #live = 0
  #isSettled = false
  #wake: ((isNews: boolean) => void) | undefined
  /** Whether an instance was heard of whose user the store did not know when it was read. */
  isUnbound = false

  constructor(place: Place, wait: Wait) {
    this.#place = place
    this.#wait = wait
  }

  get isDone(): boolean {
    const { for: wanted } = this.#wait
    if (wanted !== 'all') return this.#applied >= wanted
    return this.#isSettled && this.#missing.size === 0
  }

  get #absent(): string[] {
    const present = new Set([...this.#instances.values()].map(({ service }) => service))
    return (this.#wait.services ?? []).filter((service) => !present.has(service))
  }

  get #applied(): number {
    return this.#live - this.#missing.size
  }

  /** Takes a live set as the store has it, with what was heard since. */
  count({ instances, isSettled }: Recorded): void {
    const { services } = this.#wait
    this.#instances = new Map()
    this.#missing = new Map()
    this.#live = 0
    this.#isSettled = isSettled
    this.isUnbound = false
    for (const instance of instances) {
      if (services !== undefined && !services.includes(instance.service)) continue
      const name = nameOf(instance)
      this.#instances.set(name, instance)
      this.#live += 1
      this.#missing.set(name, undefined)
      this.#reach(name, instance.applied?.[this.#place.shard])
      const ack = this.#heard.get(name)
      if (ack !== undefined) this.#take(name, instance, ack, false)
    }
  }

  /** An ack came. Wakes whoever waits where that is the last that was missing. */
  hear(ack: Heard): void {
    const name = nameOf(ack)
    this.#heard.set(name, ack)
    const instance = this.#instances.get(name)
    if (instance === undefined) return
    this.#take(name, instance, ack, true)
    if (this.isDone || this.isUnbound) this.#wake?.(true)
  }

  #take(name: string, instance: Instance, ack: Heard, isNew: boolean): void {
    if (!this.#missing.has(name)) return
    // Until the store knows whose instance it is only its own word counts.
    if (isNew && 'user' in ack.by && instance.user === undefined) this.isUnbound = true
    if (!isOwnWord(instance, ack)) return
    if (ack.left) {
      this.#missing.delete(name)
      this.#live -= 1
    } else this.#reach(name, ack.applied[this.#place.shard])
  }

  #reach(name: string, applied: Position | undefined): void {
    const known = this.#missing.get(name)
    if (applied === undefined || (known && comparePositions(applied, known) < 0)) return
    const { position } = this.#place
    if (comparePositions(applied, position) < 0) {
      this.#missing.set(name, applied)
      return
    }
    this.#missing.delete(name)
  }

  /** Resolves with true where there is news, with false when the time is up or there is no point in waiting. */
  news(ms: number, stop: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isNews: boolean): void => {
        clearTimeout(timer)
        stop.removeEventListener('abort', onStop)
        this.#wake = undefined
        resolve(isNews)
      }
      const onStop = (): void => end(true)
      const timer = setTimeout(() => end(false), Math.max(0, ms))
      stop.addEventListener('abort', onStop)
      this.#wake = end
    })
  }

  answer(standing: 'stands' | 'lifted' | 'lost', ms: number): Enforced {
    const { seq, term } = this.#place.position
    const missing = [...this.#missing].flatMap(([name, applied]): Missing[] => {
      const instance = this.#instances.get(name)
      if (instance === undefined) return []
      return [
        {
          service: instance.service,
          instance: instance.instance,
          lastSeenMs: instance.silentMs,
          behind: applied?.term === term ? seq - applied.seq : null,
        },
      ]
    })
    const absent = this.#absent
    const done = this.isDone && standing === 'stands' && absent.length === 0
    return {
      done,
      live: this.#live,
      applied: this.#applied,
      missing,
      ms,
      ...(absent.length > 0 ? { absent } : {}),
      ...(standing === 'stands' ? {} : { [standing]: true }),
    }
  }
}

/** Whether an ack comes from whom the store knows the instance to be. */
export function isOwnWord({ user, key }: Instance, { by }: Heard): boolean {
  return 'user' in by ? by.user === user : by.key === key
}

export interface Named {
  readonly service: string
  readonly instance: string
}

export function nameOf({ service, instance }: Named): string {
  return `${service} ${instance}`
}
