import type { Claims, Header } from '../domain/claims.ts'
import type { Decision, DecisionCode, Verdict } from '../domain/decision.ts'
import type { Moment, StoreClock } from '../domain/store-clock.ts'
import type { View } from '../domain/view.ts'
import type { SubscriberLog } from './options.ts'
import type { Policy } from './policy.ts'

/** What the checker needs to know of one tenant. */
export interface Checked {
  readonly view: View
  staleMs(now: Moment): number
  /** The store has heard of this instance too long ago to wait for it: until it does, the view is no proof. */
  isUnheard(now: Moment): boolean
}

/** Refusals that a newer state of the store may take back: a longer token life, a rule on a key that was restored. */
const REVISABLE: ReadonlySet<DecisionCode> = new Set(['token_too_long_lived', 'header_needed'])

/** Decides from views in memory; counts what it decided. */
export class Checker {
  readonly #counts: Partial<Record<DecisionCode, number>> = {}
  /** By far the most, and so counted apart. */
  #active = 0
  readonly #clock: StoreClock
  readonly #observe: boolean
  readonly #log: SubscriberLog

  constructor(options: { clock: StoreClock; observe: boolean; log: SubscriberLog }) {
    this.#clock = options.clock
    this.#observe = options.observe
    this.#log = options.log
  }

  decide(
    tenant: Checked,
    claims: Claims,
    header: Header | undefined,
    policy: Policy,
    now: Moment,
  ): Decision {
    const { view } = tenant
    if (!view.ready) {
      return this.refuse({ code: 'not_ready' }, 0, Infinity, 'policy', policy.whenStale === 'allow')
    }
    const { asOf } = view
    const staleMs = tenant.staleMs(now)
    const verdict = view.judge(claims, header, this.#clock.earliest(now) / 1000)
    const isActive = verdict.code === 'active'
    // That a token is dead stays so; what only lacks newer news is no more than stale.
    if (!isActive && !REVISABLE.has(verdict.code)) {
      return this.refuse(verdict, asOf, staleMs, 'view')
    }
    const allows = policy.whenStale === 'allow'
    if (staleMs > policy.maxStaleness || tenant.isUnheard(now)) {
      if (isActive || !allows)
        return this.refuse({ code: 'stale' }, asOf, staleMs, 'policy', allows)
    }
    if (!isActive) return this.refuse(verdict, asOf, staleMs, 'view')
    this.#active += 1
    return { active: true, code: 'active', asOf, staleMs, decidedBy: 'view' }
  }

  /** How often each code was the decision. */
  get counts(): Readonly<Partial<Record<DecisionCode, number>>> {
    return this.#active === 0 ? { ...this.#counts } : { ...this.#counts, active: this.#active }
  }

  #count(code: DecisionCode): void {
    this.#counts[code] = (this.#counts[code] ?? 0) + 1
  }

  /** Refuses, but for `allow`, and but for `observe` mode, which only says so. */
  refuse(
    verdict: Verdict,
    asOf: number,
    staleMs: number,
    decidedBy: 'view' | 'policy',
    allow = false,
  ): Decision {
    this.#count(verdict.code)
    const decision: Decision = { active: allow, ...verdict, asOf, staleMs, decidedBy }
    if (!this.#observe || allow) return decision
    this.#log.warn({ code: verdict.code }, 'observed: this token would have been refused')
    return { ...decision, active: true, observed: true }
  }

  /** A token that is not what it claims to be is refused whatever the mode. */
  invalidToken(code: DecisionCode): Decision {
    this.#count(code)
    return { active: false, code, asOf: 0, staleMs: Infinity, decidedBy: 'policy' }
  }
}
