/** So many addresses are remembered; past it the ones whose window began first are forgotten. */
const MAX_ADDRESSES = 10_000

interface Window {
  count: number
  readonly endsAt: number
}

/**
 * Counts failures by remote address, in windows that begin with a first failure. What succeeds is
 * never asked for here: a right key works however much fails behind the same address.
 */
export class Failures {
  readonly #most: number
  readonly #windowMs: number
  readonly #windows = new Map<string, Window>()

  constructor(most: number, windowMs: number) {
    this.#most = most
    this.#windowMs = windowMs
  }

  /** Counts a failure at `now` (ms); answers 0, or for how many ms further ones of the address are too many. */
  add(address: string, now: number): number {
    const owner = networkOf(address)
    let window = this.#windows.get(owner)
    if (window === undefined || window.endsAt <= now) {
      // Put at the end, so that the first is always the one that ends first.
      this.#windows.delete(owner)
      const [first] = this.#windows.keys()
      if (this.#windows.size >= MAX_ADDRESSES && first !== undefined) this.#windows.delete(first)
      window = { count: 0, endsAt: now + this.#windowMs }
      this.#windows.set(owner, window)
    }
    window.count += 1
    return window.count > this.#most ? window.endsAt - now : 0
  }

  get size(): number {
    return this.#windows.size
  }
}

/** An IPv6 host may use any address of its /64, so they count as one. */
export function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':')
    while (groups.length + after.length < 8) groups.push('0')
    groups.push(...after)
  }
  return groups.slice(0, 4).join(':')
}
