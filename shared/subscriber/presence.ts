import { elapsed, type Moment } from '../domain/store-clock.ts'
import type { Policy } from './policy.ts'

/**
 * What the store's side knows of this instance. A revocation that waits for its enforcement waits
 * for every instance that could still let a dead token in, so an instance may not do so once the
 * store no longer waits for it: when it was not heard of for as long as it said it could be stale.
 */
export class Presence {
  /** The longest staleness that any policy in use allows, in ms; null: none bounds it. */
  #wanted: number | null
  readonly #first: number | null
  readonly #tenants = new Map<string, TenantPresence>()

  constructor(policy: Policy, observe: boolean) {
    this.#first = observe || policy.whenStale === 'allow' ? null : Math.round(policy.maxStaleness)
    this.#wanted = this.#first
  }

  /** What pulls and acks say of this instance: for how long it may answer without fresh news, in ms; null: for ever. */
  get maxStalenessMs(): number | null {
    return this.#wanted
  }

  /** What one tenant's part of the store knows. */
  of(tenant: string): TenantPresence {
    let found = this.#tenants.get(tenant)
    if (found === undefined) {
      found = new TenantPresence(this, this.#first)
      this.#tenants.set(tenant, found)
    }
    return found
  }

  /** Says that a policy is in use, so that the next pull tells the store. */
  want({ whenStale, maxStaleness }: Policy): void {
    const wanted = whenStale === 'allow' ? null : Math.round(maxStaleness)
    if (this.#wanted !== null && (wanted === null || wanted > this.#wanted)) this.#wanted = wanted
  }

  /** From now on nobody waits for this instance. */
  leave(): void {
    for (const tenant of this.#tenants.values()) tenant.leave()
  }
}

export class TenantPresence {
  readonly #presence: Presence
  /** For how long, in ms, the store was last told to wait for this instance. */
  #told: number | null
  /** When that was sent which it heard last. */
  #heardAt: Moment | undefined
  #left = false

  constructor(presence: Presence, told: number | null) {
    this.#presence = presence
    this.#told = told
  }

  /** For how long (ms) the store waits for this instance before it counts it out; null: until it leaves. */
  get told(): number | null {
    return this.#told
  }

  /** The policy, as far as the store knows how long to wait for this instance. A laxer one than ever before holds once it was told. */
  admitted(policy: Policy): Policy {
    const told = this.#told
    const allows = policy.whenStale === 'allow'
    if (told === null || (!allows && policy.maxStaleness <= told)) return policy
    this.#presence.want(policy)
    const whenStale = allows ? 'reject' : policy.whenStale
    return { maxStaleness: Math.min(policy.maxStaleness, told), whenStale }
  }

  /** The store recorded this instance by a pull that was sent at this moment and said `maxStalenessMs`. */
  pulled(at: Moment, maxStalenessMs: number | null): void {
    this.#told = maxStalenessMs
    if (this.#heardAt === undefined || at.mono > this.#heardAt.mono) this.#heardAt = at
  }

  /** An ack was given that was sent at this moment. It keeps the instance in the set, but brings none back into it. */
  acked(at: Moment): void {
    if (this.#heardAt === undefined || this.isUnheard(at)) return
    if (at.mono > this.#heardAt.mono) this.#heardAt = at
  }

  /** Whether the store must be told something that only a pull can tell it. */
  needsPull(now: Moment): boolean {
    return this.isUnheard(now) || this.#told !== this.#presence.maxStalenessMs
  }

  leave(): void {
    this.#left = true
  }

  /** Whether the store may no longer wait for this instance. Only a pull ends it, since that is recorded before the tails are read. */
  isUnheard(now: Moment): boolean {
    if (this.#left) return true
    if (this.#told === null) return false
    return this.#heardAt === undefined || elapsed(this.#heardAt, now) > this.#told
  }
}
