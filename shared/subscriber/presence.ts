import { elapsed, type Moment } from '../domain/store-clock.ts'
import type { Policy } from './policy.ts'

/** What one tenant's part of the store was last told. */
interface Heard {
  readonly at: Moment
  /** For how long, in ms, it then waits for this instance; null: until it leaves. */
  readonly maxStalenessMs: number | null
}

/**
 * What the store's side knows of this instance. A revocation that waits for its enforcement waits
 * for every instance that could still let a dead token in, so an instance may not do so once the
 * store no longer waits for it: when it was not heard of for as long as it said it could be stale.
 */
export class Presence {
  /** The longest staleness that any policy in use allows, in ms; null: none bounds it. */
  #wanted: number | null
  readonly #first: number | null
  readonly #heard = new Map<string, Heard>()
  #left = false

  constructor(policy: Policy, observe: boolean) {
    this.#first = observe || policy.whenStale === 'allow' ? null : Math.round(policy.maxStaleness)
    this.#wanted = this.#first
  }

  /** What pulls and acks say of this instance: for how long it may answer without fresh news, in ms; null: for ever. */
  get maxStalenessMs(): number | null {
    return this.#wanted
  }

  /** For how long (ms) the store waits for this instance before it counts it out; null: until it leaves. */
  told(tenant: string): number | null {
    const heard = this.#heard.get(tenant)
    return heard === undefined ? this.#first : heard.maxStalenessMs
  }

  /** The policy, as far as the store knows how long to wait for this instance. A laxer one than ever before holds once it was told. */
  admitted(tenant: string, policy: Policy): Policy {
    const told = this.told(tenant)
    if (told === null) return policy
    const allows = policy.whenStale === 'allow'
    if (!allows && policy.maxStaleness <= told) return policy
    this.want(policy)
    const whenStale = allows ? 'reject' : policy.whenStale
    return { maxStaleness: Math.min(policy.maxStaleness, told), whenStale }
  }

  /** Says that a policy is in use, so that the next pull tells the store. */
  want({ whenStale, maxStaleness }: Policy): void {
    const wanted = whenStale === 'allow' ? null : Math.round(maxStaleness)
    if (this.#wanted !== null && (wanted === null || wanted > this.#wanted)) this.#wanted = wanted
  }

  /** The store recorded this instance by a pull that was sent at this moment and said `maxStalenessMs`. */
  pulled(tenant: string, at: Moment, maxStalenessMs: number | null): void {
    this.#heard.set(tenant, { at, maxStalenessMs })
  }

  /** An ack was given that was sent at this moment. It keeps the instance in the set, but brings none back into it. */
  acked(tenant: string, at: Moment): void {
    const heard = this.#heard.get(tenant)
    if (heard === undefined || this.isUnheard(tenant, at)) return
    if (at.mono > heard.at.mono) this.#heard.set(tenant, { ...heard, at })
  }

  /** Whether the store must be told something that only a pull can tell it. */
  needsPull(tenant: string, now: Moment): boolean {
    return this.isUnheard(tenant, now) || this.told(tenant) !== this.#wanted
  }

  /** From now on nobody waits for this instance. */
  leave(): void {
    this.#left = true
  }

  /** Whether the store may no longer wait for this instance. Only a pull ends it, since that is recorded before the tails are read. */
  isUnheard(tenant: string, now: Moment): boolean {
    if (this.#left) return true
    const heard = this.#heard.get(tenant)
    if (heard === undefined) return this.#first !== null
    return heard.maxStalenessMs !== null && elapsed(heard.at, now) > heard.maxStalenessMs
  }
}
