import type { Part } from './part.ts'

const EVERY_MS = 500

/** Finds parts that have ended though nobody has killed them. */
export class Deaths {
  readonly found: string[] = []
  readonly #parts: readonly Part[]
  readonly #told = new Set<number>()
  #timer: NodeJS.Timeout | undefined

  constructor(parts: readonly Part[]) {
    this.#parts = parts
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), EVERY_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  look(): void {
    for (const { name, pid, lastWords } of this.#parts) {
      if (pid === undefined || this.#told.has(pid) || isAlive(pid)) continue
      this.#told.add(pid)
      this.found.push(`${name} ended by itself. ${lastWords}`)
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
