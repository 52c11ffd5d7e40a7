import { NONE } from './chains.ts'
import type { WordRows } from './word-rows.ts'

/** How many words of a row this needs: its second, the next row of that second, the previous one. */
export const DUE_WORDS = 3

/** So many seconds without rows are kept, and as many as there are with rows, before they are cleared away. */
const MAX_EMPTY = 1000

/** The last second that a row can be due at; one that is due later is never. */
const LAST_SECOND = 2 ** 32 - 1

/**
 * Rows by the whole second at which they are due, and which second is the next. A row is added and
 * taken out without a search; only a second that was not yet in use costs a step of a heap.
 */
export class DueRows {
  readonly #rows: WordRows
  readonly #second: number
  readonly #next: number
  readonly #previous: number
  /** The first row of each second in use. One whose rows are all gone stays for a while, since rows may come again. */
  readonly #heads = new Map<number, number>()
  /** How many of them have no rows. */
  #empty = 0
  /** A binary heap of the keys of `#heads`: each is not above those at twice its place and one, two further. */
  #heap: number[] = []

  constructor(rows: WordRows, word: number) {
    this.#rows = rows
    this.#second = word
    this.#next = word + 1
    this.#previous = word + 2
  }

  /** The earliest second in use. */
  get first(): number | undefined {
    return this.#heap[0]
  }

  /** `at` in NumericDate seconds, rounded up; undefined, or beyond the year 2106: never. */
  add(row: number, at: number | undefined): void {
    const second = at === undefined ? Infinity : Math.max(1, Math.ceil(at))
    if (!(second <= LAST_SECOND)) {
      this.#rows.set(row, this.#second, 0)
      return
    }
    let head = this.#heads.get(second)
    if (head === undefined) {
      head = NONE
      this.#push(second)
    } else if (head === NONE) {
      this.#empty -= 1
    }
    this.#heads.set(second, row)
    this.#rows.set(row, this.#second, second)
    this.#rows.set(row, this.#next, head)
    this.#rows.set(row, this.#previous, NONE)
    if (head !== NONE) this.#rows.set(head, this.#previous, row)
  }

  /** Whether it is due at some second that has not been taken. */
  has(row: number): boolean {
    return this.#rows.get(row, this.#second) !== 0
  }

  remove(row: number): void {
    const second = this.#rows.get(row, this.#second) >>> 0
    if (second === 0) return
    this.#rows.set(row, this.#second, 0)
    const next = this.#rows.get(row, this.#next)
    const previous = this.#rows.get(row, this.#previous)
    if (next !== NONE) this.#rows.set(next, this.#previous, previous)
    if (previous !== NONE) this.#rows.set(previous, this.#next, next)
    else this.#heads.set(second, next)
    if (previous !== NONE || next !== NONE) return
    this.#empty += 1
    if (this.#empty > MAX_EMPTY + this.#heads.size / 2) this.#clearAway()
  }

  #clearAway(): void {
    for (const [second, head] of this.#heads) if (head === NONE) this.#heads.delete(second)
    this.#empty = 0
    // In order they are a heap as well.
    this.#heap = [...this.#heads.keys()].sort((a, b) => a - b)
  }

  /** Takes out every row that is due at `now` (NumericDate) and tells of it. */
  take(now: number, tell: (row: number) => void): void {
    for (
      let second = this.#heap[0];
      second !== undefined && second <= now;
      second = this.#heap[0]
    ) {
      this.#pop()
      let row = this.#heads.get(second) ?? NONE
      this.#heads.delete(second)
      if (row === NONE) this.#empty -= 1
      while (row !== NONE) {
        const next = this.#rows.get(row, this.#next)
        this.#rows.set(row, this.#second, 0)
        tell(row)
        row = next
      }
    }
  }

  clear(): void {
    this.#heads.clear()
    this.#empty = 0
    this.#heap = []
  }

  #push(second: number): void {
    const heap = this.#heap
    let at = heap.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent] as number
      if (above <= second) break
      heap[at] = above
      at = parent
    }
    heap[at] = second
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number))
        child += 1
      if ((heap[child] as number) >= last) break
      heap[at] = heap[child] as number
      at = child
    }
    heap[at] = last
  }
}
