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

/**
 * Keeps what callers can cause without limit from filling a trail: of each kind the first few within
 * a window are records of their own, the others of the window become one with their sums. Past
 * `maxKinds` kinds at once all further ones are counted as one, `rest`.
 */
export class AuditTally<Facts> {
  readonly #options: {
    readonly windowMs: number
    readonly each: number
    readonly maxKinds: number
    readonly rest: Facts
  }
  readonly #windows = new Map<string, Window<Facts>>()

  constructor(options: { windowMs: number; each: number; maxKinds: number; rest: Facts }) {
    this.#options = options
  }

  /** Counts one of a kind at `now` (ms); says whether it is to be a record of its own. */
  add(kind: string, facts: Facts, sums: Readonly<Record<string, number>>, now: number): boolean {
    const { windowMs, each, maxKinds, rest } = this.#options
    const isRoom = this.#windows.has(kind) || this.#windows.size < maxKinds
    const [name, kept] = isRoom ? [kind, facts] : ['', rest]
    let window = this.#windows.get(name)
    if (window === undefined) {
      window = { facts: kept, endsAt: now + windowMs, since: now, seen: 0, sums: undefined }
      this.#windows.set(name, window)
    }
    window.seen += 1
    if (isRoom && window.seen <= each) return true
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
    for (const [kind, { facts, endsAt, since, sums }] of this.#windows) {
      if (endsAt > now) continue
      this.#windows.delete(kind)
      if (sums !== undefined) found.push({ facts, sums, since })
    }
    return found
  }
}
