import fc from 'fast-check'
import type { RefreshPlan } from '../../shared/domain/family.ts'

/** A token of the family comes: so many ms after the last one, so many generations behind the newest. */
interface FamilyStep {
  readonly wait: number
  readonly back: number
}

/** Waits on both sides of a grace of 10 s, and now and then long ones. */
export const familySteps: fc.Arbitrary<FamilyStep[]> = fc.array(
  fc.record({
    wait: fc.constantFrom(0, 0, 0, 1, 4999, 5000, 9999, 10_000, 10_001, 30_000),
    back: fc.constantFrom(0, 0, 0, 0, 1, 1, 2, 3),
  }),
  { minLength: 1, maxLength: 25 },
)

/** A family as a plain list: for each token that was ever given out, when it was first used. */
export class FamilyModel {
  readonly #graceMs: number
  readonly #endsMs: number
  readonly #firstUse: (number | undefined)[] = [undefined]
  #isDead = false

  constructor(graceMs: number, endsMs: number) {
    this.#graceMs = graceMs
    this.#endsMs = endsMs
  }

  /** Presents the token of a generation (from 1) that was given out. */
  present(generation: number, now: number): { plan: RefreshPlan; newest: number } {
    return { plan: this.#plan(generation, now), newest: this.#firstUse.length }
  }

  #plan(generation: number, now: number): RefreshPlan {
    if (this.#isDead) return 'dead'
    if (now >= this.#endsMs) return 'ended'
    const used = this.#firstUse[generation - 1]
    if (used === undefined) {
      this.#firstUse[generation - 1] = now
      this.#firstUse.push(undefined)
      return 'rotate'
    }
    const successorIsUnused = this.#firstUse[generation] === undefined
    if (successorIsUnused && now < used + this.#graceMs) return 'same'
    this.#isDead = true
    return 'reuse'
  }
}
