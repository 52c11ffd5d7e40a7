import { SharedRead } from './shared-read.ts'

/** Shared reads of what differs by a name. Past so many the one is forgotten that nobody has asked for the longest. */
export class SharedReads<T> {
  readonly #most: number
  readonly #reads = new Map<string, SharedRead<T>>()

  constructor(most: number) {
    this.#most = most
  }

  /** The read of this name; `run` is what it does where nobody has asked for it lately. */
  of(name: string, run: () => Promise<T>): SharedRead<T> {
    const read = this.#reads.get(name) ?? new SharedRead(run)
    this.#reads.delete(name)
    this.#reads.set(name, read)
    const [oldest] = this.#reads.keys()
    if (this.#reads.size > this.#most && oldest !== undefined) this.#reads.delete(oldest)
    return read
  }
}
