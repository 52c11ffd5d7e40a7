/**
 * Decides which commits ask for acks though nobody waits for them: one per beat interval and tenant.
 * So it is known exactly how long enforcement takes while it is calm, and a busy system, whose views
 * ack with each beat anyway, pays for one more ack per interval.
 */
export class AskPace {
  readonly #intervalMs: number
  readonly #asked = new Map<string, number>()

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** Whether a commit of this tenant may ask now (monotonic ms). Where it may, it counts as having asked. */
  mayAsk(tenant: string, now: number): boolean {
    const last = this.#asked.get(tenant) ?? Number.NEGATIVE_INFINITY
    if (now - last < this.#intervalMs) return false
    this.#asked.set(tenant, now)
    return true
  }

  /** The commit that might ask made no entry that could: the next one may. */
  giveBack(tenant: string): void {
    this.#asked.delete(tenant)
  }
}
