import type { Handled } from './messages.ts'

/** What a durable handler must handle, at least once each, and what it says that it has. */
export class Duties {
  readonly #owed = new Set<string>()
  readonly #begun = new Set<string>()
  readonly #done = new Set<string>()

  /** To be called before it can be handled. */
  owe(about: string): void {
    this.#owed.add(about)
  }

  hear({ type, about }: Handled): void {
    if (type === 'handling') this.#begun.add(about)
    else this.#done.add(about)
  }

  get owed(): number {
    return this.#owed.size
  }

  /** What is not handled yet. */
  get open(): string[] {
    return [...this.#owed].filter((about) => !this.#done.has(about))
  }

  /** Those that have been begun and that nobody is known to have finished. */
  get unfinished(): string[] {
    return this.open.filter((about) => this.#begun.has(about))
  }
}
