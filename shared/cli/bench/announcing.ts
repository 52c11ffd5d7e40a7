import { setTimeout as delay } from 'node:timers/promises'
import type { Caller } from './caller.ts'
import type { Child } from './child.ts'
import type { Listener } from './listener.ts'
import { hear } from './listening.ts'
import { tokenOf } from './tokens.ts'

/** An upload this large ends well within a server's patience. */
const PER_UPLOAD = 50_000
/** The bounds of what registering is trusted to manage, tokens a second. */
const SLOWEST_PER_SECOND = 4000
const FASTEST_PER_SECOND = 30_000

export interface Announced {
  readonly perSecond: number
  readonly firstLateMs: number
  readonly lastLateMs: number
  readonly registeredPerSecond: number
  /** Of each event, ms after the second of its `exp`. */
  readonly lateMs: readonly number[]
}

/** Registers tokens over HTTP and waits until a subscriber has been told that all of them have expired. */
export class Announcing {
  readonly #caller: Caller
  readonly #listener: Child<Listener>
  readonly #say: (line: string) => void
  #last = 0
  #guess = SLOWEST_PER_SECOND

  constructor(caller: Caller, listener: Child<Listener>, say: (line: string) => void) {
    this.#caller = caller
    this.#listener = listener
    this.#say = say
  }

  /** So many tokens, due in equal parts in so many seconds on end. */
  async run(count: number, seconds: number): Promise<Announced> {
    for (;;) {
      const first = this.#last
      this.#last += count
      const run = await this.#once(first, count, seconds)
      this.#guess = Math.min(run?.registeredPerSecond ?? this.#guess / 2, FASTEST_PER_SECOND)
      if (run !== undefined) return run
      this.#say('expiry: tokens were due before all were registered; again, with more time')
    }
  }

  /** Undefined where the first second came before all were registered: the machine was slower than it was thought to be. */
  async #once(first: number, count: number, seconds: number): Promise<Announced | undefined> {
    await this.#listener.call('reset')
    const due = Math.ceil(Date.now() / 1000 + 2 + (1.25 * count) / this.#guess)
    const started = performance.now()
    let registered = 0
    for (let from = 0; from < count; from += PER_UPLOAD) {
      const size = Math.min(PER_UPLOAD, count - from)
      const lines = linesOf(first + from, size, (index) => due + (index % seconds))
      const answer = await this.#caller.upload('/v1/tokens', lines)
      registered += (answer as { registered: number }).registered
    }
    const registeredPerSecond = (count * 1000) / (performance.now() - started)
    const isLate = Date.now() >= due * 1000
    await delay(Math.max(0, due * 1000 - Date.now()))
    const { count: heard, firstAt, lastAt } = await hear(this.#listener, 'expired', registered)
    if (heard !== registered) throw new Error(`${heard} events came of ${registered} tokens.`)
    if (registered < count || isLate) return undefined
    const lateMs = await this.#listener.call('lateMs')
    return {
      perSecond: (count * 1000) / (lastAt - due * 1000),
      firstLateMs: firstAt - due * 1000,
      lastLateMs: lastAt - (due + seconds - 1) * 1000,
      registeredPerSecond,
      lateMs,
    }
  }
}

function* linesOf(
  first: number,
  count: number,
  expOf: (index: number) => number,
): Generator<string> {
  for (let i = first; i < first + count; i++) {
    yield JSON.stringify({ claims: tokenOf(i, expOf(i)) })
  }
}
