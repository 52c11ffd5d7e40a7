/** A moment on this process's two clocks, in ms: the monotonic one and the wall clock. */
export interface Moment {
  readonly mono: number
  readonly wall: number
}

/** The larger of both clocks' advance, ms, since the monotonic one may stand still while a machine sleeps. */
export function elapsed(from: Moment, to: Moment): number {
  return Math.max(to.mono - from.mono, to.wall - from.wall)
}

/**
 * What a process can know of the store's clock. The store read its time somewhere between `sent`
 * and `received`, so each bound errs to its own safe side.
 */
export class StoreClock {
  #at = 0
  #sent: Moment = { mono: 0, wall: 0 }
  #received = 0
  #set = false

  /** The store said `at` (ms) in answer to a call sent and received at these moments. */
  set(at: number, sent: Moment, received: Moment): void {
    this.#at = at
    this.#sent = sent
    this.#received = received.mono
    this.#set = true
  }

  /** Forgets the offset: the store may be another one. */
  clear(): void {
    this.#set = false
  }

  get isSet(): boolean {
    return this.#set
  }

  /** The latest the store's clock can show: for ages. */
  latest(now: Moment): number {
    return this.#at + elapsed(this.#sent, now)
  }

  /** The earliest the store's clock can show: for `exp` and pruning, which must never be early. */
  earliest(now: Moment): number {
    return this.#at + now.mono - this.#received
  }

  /** What the store's clock most likely shows: for measuring, never for deciding. */
  estimate(now: Moment): number {
    return this.#at + now.mono - (this.#sent.mono + this.#received) / 2
  }
}
