import { createHash } from 'node:crypto'

const KEPT = 400
const BATCH = 10_000

/** What happened in a run, in order: a digest of all of it, and its end for whoever looks into a failure. */
export class History {
  readonly #hash = createHash('sha256')
  readonly #last: string[] = []
  readonly #tell: ((line: string) => void) | undefined
  #fresh = ''
  count = 0

  /** `tell` is given every line as it comes. */
  constructor(tell?: (line: string) => void) {
    this.#tell = tell
  }

  add(line: string): void {
    this.#fresh += `${line}\n`
    if (this.#fresh.length > BATCH) this.#take()
    this.count += 1
    this.#last.push(line)
    if (this.#last.length > 2 * KEPT) this.#last.splice(0, KEPT)
    this.#tell?.(line)
  }

  /** Many lines at once, since each costs the hash the same. */
  #take(): void {
    this.#hash.update(this.#fresh)
    this.#fresh = ''
  }

  digest(): string {
    this.#take()
    return this.#hash.copy().digest('hex')
  }

  tail(lines: number): readonly string[] {
    return this.#last.slice(-lines)
  }
}
