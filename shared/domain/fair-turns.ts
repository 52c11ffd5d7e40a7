interface Lane {
  running: number
  readonly waiting: Waiting[]
}

interface Waiting {
  readonly owner: string
  readonly start: () => void
}

export interface TurnLimits {
  /** How many may run at once, of all owners together. */
  readonly places: number
  /** How many of one owner may run at once. */
  readonly each: number
  /** How many of one owner may wait. */
  readonly waiting: number
  /** How many may wait of all owners together. None of an owner that has fewer than `reserved` waiting is turned away for it. */
  readonly waitingInAll?: number
  readonly reserved?: number
}

/**
 * Shares places among owners. Whatever one owner brings, another's turn comes after at most one of
 * each owner that waits. Where there is a place, work starts at once, in the caller's own stack.
 */
export class FairTurns {
  readonly #limits: TurnLimits
  readonly #lanes = new Map<string, Lane>()
  /** Owners that have something waiting and may run one more, in the order of their turns. */
  readonly #ring = new Set<string>()
  #running = 0
  #waiting = 0
  #turning = false

  constructor(limits: TurnLimits) {
    this.#limits = limits
  }

  /** How many of an owner run or wait. */
  of(owner: string): number {
    const lane = this.#lanes.get(owner)
    return lane === undefined ? 0 : lane.running + lane.waiting.length
  }

  get waiting(): number {
    return this.#waiting
  }

  /**
   * Calls `start` when the owner's turn has come; whoever was started calls `leave` once. `start`
   * must not throw. Answers how to give the turn up before it has come, or undefined where too
   * many wait already.
   */
  enter(owner: string, start: () => void): (() => void) | undefined {
    const { places, each, waiting, waitingInAll = Infinity, reserved = 0 } = this.#limits
    let lane = this.#lanes.get(owner)
    if (lane === undefined) {
      lane = { running: 0, waiting: [] }
      this.#lanes.set(owner, lane)
    }
    if (this.#running < places && lane.running < each && lane.waiting.length === 0) {
      this.#start(lane, start)
      return () => {}
    }
    const own = lane.waiting.length
    if (own >= waiting || (this.#waiting >= waitingInAll && own >= reserved)) return undefined
    const entry: Waiting = { owner, start }
    lane.waiting.push(entry)
    this.#waiting += 1
    if (lane.running < each) this.#ring.add(owner)
    return () => this.#giveUp(entry)
  }

  /** Something of this owner has ended. */
  leave(owner: string): void {
    const lane = this.#lanes.get(owner)
    if (lane === undefined || lane.running === 0) return
    lane.running -= 1
    this.#running -= 1
    if (lane.waiting.length > 0) this.#ring.add(owner)
    else this.#forget(owner, lane)
    this.#turn()
  }

  /** Starts whoever's turn it is. Work that ends in its own start comes back here, so it must not nest. */
  #turn(): void {
    if (this.#turning) return
    this.#turning = true
    while (this.#running < this.#limits.places) {
      const [owner] = this.#ring
      if (owner === undefined) break
      this.#ring.delete(owner)
      const lane = this.#lanes.get(owner)
      const next = lane?.waiting.shift()
      if (lane === undefined || next === undefined) continue
      this.#waiting -= 1
      if (lane.waiting.length > 0 && lane.running + 1 < this.#limits.each) this.#ring.add(owner)
      this.#start(lane, next.start)
    }
    this.#turning = false
  }

  #start(lane: Lane, start: () => void): void {
    lane.running += 1
    this.#running += 1
    start()
  }

  #giveUp(entry: Waiting): void {
    const lane = this.#lanes.get(entry.owner)
    const at = lane?.waiting.indexOf(entry) ?? -1
    if (lane === undefined || at === -1) return
    lane.waiting.splice(at, 1)
    this.#waiting -= 1
    if (lane.waiting.length === 0) this.#ring.delete(entry.owner)
    this.#forget(entry.owner, lane)
  }

  #forget(owner: string, lane: Lane): void {
    if (lane.running === 0 && lane.waiting.length === 0) this.#lanes.delete(owner)
  }
}
