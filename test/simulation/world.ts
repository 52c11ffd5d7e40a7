import { install } from '@sinonjs/fake-timers'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { CALM, type Rates } from './faults.ts'
import type { History } from './history.ts'
import { Random } from './random.ts'

const START_MS = Date.UTC(2026, 0, 5, 12)

/** Ends a run: a promise was broken. */
export class Violated extends Error {}

/** What can act, be paused and die: a process of Knell, a subscriber, or whoever calls them. */
export class Actor {
  readonly name: string
  isDead = false
  isPaused = false
  /** What has come while it was paused, in order. */
  held: (() => void)[] = []

  constructor(name: string) {
    this.name = name
  }
}

const real = {
  setImmediate: globalThis.setImmediate,
  random: Math.random,
  timeout: AbortSignal.timeout.bind(AbortSignal),
  randomBytes: crypto.randomBytes,
  randomUUID: crypto.randomUUID,
}

/**
 * The surroundings of one run: a clock that moves only when everything at hand is done, one source of
 * chance, and the network between the actors. One event happens at a time, and what it sets in motion
 * comes to rest before the next, so that the same seed gives the same history.
 */
export class World {
  readonly random: Random
  readonly history: History
  rates: Rates = CALM
  /** Whose code is running; undefined between events. */
  actor: Actor | undefined
  /** Called before an actor dies at one of its own calls. */
  onCrash: (actor: Actor) => void = () => {}
  readonly violations: string[] = []
  readonly #clock: ReturnType<typeof install>
  readonly #later: (fn: () => void, ms: number) => unknown
  #pending: Promise<unknown> | undefined

  constructor(seed: number, history: History) {
    this.random = new Random(seed)
    this.history = history
    this.#clock = install({
      now: START_MS,
      toFake: [
        'setTimeout',
        'clearTimeout',
        'setInterval',
        'clearInterval',
        'setImmediate',
        'clearImmediate',
        'Date',
        'performance',
      ],
    })
    this.#later = globalThis.setTimeout
    this.#bindTimers()
    this.#bindChance()
    process.on('unhandledRejection', this.#onUnhandled)
  }

  readonly #onUnhandled = (error: unknown): void => {
    this.violated(`a promise was rejected and nobody heard: ${String(error)}`)
  }

  /** A timer belongs to whoever set it: it is lost when that one dies, and waits while it is paused. */
  #bindTimers(): void {
    const bound = (set: (fn: () => void, ...ms: number[]) => unknown) => {
      return (fn: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): unknown => {
        const { actor } = this
        return set(() => this.#as(actor, () => fn(...args)), ms)
      }
    }
    const { setTimeout, setInterval, setImmediate } = globalThis
    Object.assign(globalThis, {
      setTimeout: bound(setTimeout),
      setInterval: bound(setInterval),
      setImmediate: (fn: () => void, ...args: unknown[]) =>
        bound((each) => setImmediate(each))(fn, 0, ...args),
    })
    AbortSignal.timeout = (ms) => {
      const controller = new AbortController()
      globalThis.setTimeout(() => controller.abort(new Error('timeout')), ms)
      return controller.signal
    }
  }

  #bindChance(): void {
    Math.random = () => this.random.fraction()
    const patched = crypto as unknown as Record<string, unknown>
    patched['randomBytes'] = (count: number) => this.random.bytes(count)
    patched['randomUUID'] = () => this.random.bytes(16).toString('hex')
    Object.assign(globalThis.crypto, { randomUUID: patched['randomUUID'] })
    syncBuiltinESMExports()
  }

  close(): void {
    process.off('unhandledRejection', this.#onUnhandled)
    this.#clock.uninstall()
    Math.random = real.random
    AbortSignal.timeout = real.timeout
    const patched = crypto as unknown as Record<string, unknown>
    patched['randomBytes'] = real.randomBytes
    patched['randomUUID'] = real.randomUUID
    Reflect.deleteProperty(globalThis.crypto, 'randomUUID')
    syncBuiltinESMExports()
  }

  /** Ms since the run began. */
  get now(): number {
    return this.#clock.now - START_MS
  }

  /** Ms since 1970, as a server with a right clock has it. */
  get wall(): number {
    return this.#clock.now
  }

  log(line: string): void {
    this.history.add(`${(this.now / 1000).toFixed(3)} ${line}`)
  }

  violated(what: string): void {
    this.violations.push(what)
    this.log(`VIOLATED: ${what}`)
  }

  /** Something of the network or a server, which no actor's death stops. */
  later(ms: number, fn: () => void): void {
    this.#later(() => this.#as(undefined, fn), ms)
  }

  /** Something that reaches an actor. */
  reach(actor: Actor, ms: number, fn: () => void): void {
    this.#later(() => this.#as(actor, fn), ms)
  }

  #as(actor: Actor | undefined, fn: () => void): void {
    if (actor?.isDead === true) return
    if (actor?.isPaused === true) {
      actor.held.push(fn)
      return
    }
    this.actor = actor
    fn()
  }

  resume(actor: Actor): void {
    actor.isPaused = false
    for (const fn of actor.held.splice(0)) this.reach(actor, 0, fn)
  }

  /** How long a message is on its way. */
  delay(): number {
    if (this.random.chance(this.rates.slow)) return this.random.between(50, 3000)
    return this.random.between(1, 6)
  }

  /** Whether an actor dies at this very point. */
  crashes(actor: Actor, where: string): boolean {
    if (actor.isDead || !this.random.chance(this.rates.crash)) return actor.isDead
    this.log(`${actor.name} dies ${where}`)
    this.onCrash(actor)
    return actor.isDead
  }

  /** Something real, such as a call of the store: the clock stands still until it is done. */
  really(work: Promise<unknown>): void {
    this.#pending = Promise.resolve(this.#pending).then(() => work)
  }

  /** Lets so much time pass. @throws Violated as soon as a promise was broken */
  async advance(ms: number): Promise<void> {
    const over = new AbortController()
    this.later(ms, () => over.abort())
    await this.#settle()
    while (!over.signal.aborted) {
      if (this.violations.length > 0) throw new Violated(this.violations[0])
      this.#clock.next()
      await this.#settle()
    }
  }

  async #settle(): Promise<void> {
    for (;;) {
      await new Promise((resolve) => real.setImmediate(resolve))
      const pending = this.#pending
      if (pending === undefined) break
      await pending
      if (this.#pending === pending) this.#pending = undefined
    }
    this.actor = undefined
  }
}
