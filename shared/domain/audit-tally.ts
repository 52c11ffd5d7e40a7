/** What is counted together, as one record. */
export interface Tally<Facts> {
  readonly facts: Facts
  readonly sums: Readonly<Record<string, number>>
  /** When its counting began, in ms. */
  readonly since: number
}

interface Window<Facts> {
  readonly facts: Facts
  readonly endsAt: number
  readonly since: number
  seen: number
  sums: Record<string, number> | undefined
}

interface TallyOptions<Facts> {
  readonly windowMs: number
  /** So many of one kind, and so many of one owner whatever their kinds, are records of their own in a window. */
  readonly each: number
  readonly eachOwner: number
  /** Of one owner. */
  readonly maxKinds: number
  /** What is told of those past `maxKinds`, from the first of them. */
  readonly rest: (this: void, facts: Facts) => Facts
}

/**
 * Keeps what callers can cause without limit from filling a trail: of each kind the first few within
 * a window are records of their own, the others of the window become one with their sums. Past
 * `maxKinds` kinds of one owner at once all its further ones are counted as one, so that no owner
 * takes another's room.
 */
export class AuditTally<Facts> {
  readonly #options: TallyOptions<Facts>
  readonly #windows = new Map<string, Window<Facts>>()
  readonly #owners = new Map<string, { readonly endsAt: number; kinds: number; made: number }>()

  constructor(options: TallyOptions<Facts>) {
    this.#options = options
  }

  /** Counts one of an owner and kind at `now` (ms); says whether it is to be a record of its own. */
  add(
    owner: string,
    kind: string,
    facts: Facts,
    sums: Readonly<Record<string, number>>,
    now: number,
  ): boolean {
    const { windowMs, each, eachOwner, maxKinds, rest } = this.#options
    let of = this.#owners.get(owner)
    if (of === undefined || of.endsAt <= now) {
      of = { endsAt: now + windowMs, kinds: 0, made: 0 }
      this.#owners.set(owner, of)
    }
    const own = JSON.stringify([owner, kind])
    const isKnown = this.#windows.has(own)
    const isRoom = isKnown || of.kinds < maxKinds
    const name = isRoom ? own : JSON.stringify([owner])
    let window = this.#windows.get(name)
    if (window === undefined) {
      const kept = isRoom ? facts : rest(facts)
      window = { facts: kept, endsAt: now + windowMs, since: now, seen: 0, sums: undefined }
      this.#windows.set(name, window)
      if (isRoom) of.kinds += 1
    }
    window.seen += 1
    if (isRoom && window.seen <= each && of.made < eachOwner) {
      of.made += 1
      return true
    }
    window.sums ??= {}
    for (const [sum, value] of Object.entries({ count: 1, ...sums })) {
      window.sums[sum] = (window.sums[sum] ?? 0) + value
    }
    return false
  }

  /** Whether anything waits to be taken. */
  get isCounting(): boolean {
    return this.#windows.size > 0
  }

  /** What has been counted in windows that are over at `now`; with Infinity all of it. */
  take(now: number): Tally<Facts>[] {
    const found: Tally<Facts>[] = []
    for (const [owner, { endsAt }] of this.#owners) if (endsAt <= now) this.#owners.delete(owner)
    for (const [kind, { facts, endsAt, since, sums }] of this.#windows) {
      if (endsAt > now) continue
      this.#windows.delete(kind)
      if (sums !== undefined) found.push({ facts, sums, since })
    }
    return found
  }
}
