/** What was opened, to be released in the opposite order. */
export class Scope {
  readonly #releases: (() => unknown)[] = []
  #releasing: Promise<void> | undefined

  defer(release: () => unknown): void {
    this.#releases.push(release)
  }

  /** Goes on where one release fails, and throws its error at the end. Twice is fine. */
  release(): Promise<void> {
    this.#releasing ??= this.#release()
    return this.#releasing
  }

  async #release(): Promise<void> {
    const failures: unknown[] = []
    for (let release = this.#releases.pop(); release; release = this.#releases.pop()) {
      try {
        await release()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
