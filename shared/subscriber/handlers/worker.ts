import type { Context } from '@opentelemetry/api'
import pLimit, { type LimitFunction } from 'p-limit'
import type { Kind } from '../../domain/entry.ts'
import { KnellError } from '../../domain/errors.ts'
import type { Batch, Item } from './batch.ts'
import { inHandleSpan } from './handler-spans.ts'
import type { HandleOptions, HandlerContext } from './options.ts'

/** What became of one event. */
export type Outcome =
  | { readonly what: 'handled' }
  | { readonly what: 'failed'; readonly error: unknown }
  /** No handler here is for its kind. */
  | { readonly what: 'unhandled' }
  /** It was not tried, or not to the end, for no fault of its own. */
  | { readonly what: 'postponed' }
  /** Another delivery of the same event, still alive, answers for it. */
  | { readonly what: 'left' }

const HANDLED: Outcome = { what: 'handled' }
const POSTPONED: Outcome = { what: 'postponed' }
const LEFT: Outcome = { what: 'left' }

/** A handler with what it was registered with. */
export interface Registration extends Required<HandleOptions> {
  readonly kinds: readonly Kind[]
  readonly fn: (event: unknown, context: HandlerContext) => unknown
}

/** Whatever brought a batch, and may be gone before its events are done. */
export interface Owner {
  readonly isAlive: boolean
  /** Nothing brings its events again if this process dies: no other delivery may rely on it. */
  readonly isPassing?: boolean
}

interface Running {
  readonly owner: Owner
  readonly outcome: Promise<Outcome>
}

/** So many handled events are remembered, so that one sent again does not run again here. */
const REMEMBERED = 10_000
/** How long a handler may take to end after its signal has aborted since we are closing. */
const ABORT_GRACE_MS = 250

/** Runs handlers: bounded in number and time, no event twice at once. */
export class Worker {
  readonly #limits = new Map<Registration, LimitFunction>()
  readonly #byKind = new Map<Kind, Registration>()
  readonly #running = new Map<string, Running>()
  readonly #handled = new Set<string>()
  readonly #controllers = new Set<AbortController>()
  readonly #waiting = new Set<() => void>()
  readonly #closed = new KnellError('shutting_down', 'The subscriber is closing.')
  readonly #onRan: (kind: Kind, ms: number) => void
  #closing = false

  /** `onRan`: told of each handler that ended, and after how many ms. */
  constructor(onRan: (kind: Kind, ms: number) => void = () => {}) {
    this.#onRan = onRan
  }

  get registrations(): readonly Registration[] {
    return [...this.#limits.keys()]
  }

  get kinds(): readonly Kind[] {
    return [...this.#byKind.keys()]
  }

  add(registration: Registration): void {
    this.#limits.set(registration, pLimit(registration.concurrency))
    for (const kind of registration.kinds) this.#byKind.set(kind, registration)
  }

  remove(registration: Registration): void {
    this.#limits.delete(registration)
    for (const kind of registration.kinds) this.#byKind.delete(kind)
  }

  has(kind: Kind): boolean {
    return this.#byKind.has(kind)
  }

  maxAttempts(kind: Kind): number {
    return this.#byKind.get(kind)?.maxAttempts ?? Infinity
  }

  /**
   * Runs one event, or finds that it runs already. Never rejects. One that has not begun at
   * `notAfter` (monotonic ms) is postponed. With `again` it runs though it was handled here before.
   * Its span is a child of what is active in `within`.
   */
  async run(
    batch: Batch,
    item: Item,
    owner: Owner,
    options: { notAfter: number; within: Context; again?: boolean },
  ): Promise<Outcome> {
    if (options.again !== true && this.#handled.has(item.key)) return HANDLED
    const known = this.#running.get(item.key)
    if (known !== undefined) {
      const outcome = await known.outcome
      const { isAlive, isPassing } = known.owner
      return outcome.what === 'handled' || !isAlive || isPassing === true ? outcome : LEFT
    }
    const registration = this.#byKind.get(batch.entry.kind)
    const limit = registration === undefined ? undefined : this.#limits.get(registration)
    if (registration === undefined || limit === undefined) return { what: 'unhandled' }
    const outcome = this.#queue(registration, limit, batch, item, options)
    this.#running.set(item.key, { owner, outcome })
    const done = await outcome
    this.#running.delete(item.key)
    if (done.what === 'handled') this.#remember(item.key)
    // Where it was run again and failed, its retry must run though it was handled once before.
    else this.#handled.delete(item.key)
    return done
  }

  #remember(key: string): void {
    this.#handled.add(key)
    if (this.#handled.size <= REMEMBERED) return
    const [oldest] = this.#handled
    if (oldest !== undefined) this.#handled.delete(oldest)
  }

  #queue(
    registration: Registration,
    limit: LimitFunction,
    batch: Batch,
    item: Item,
    { notAfter, within }: { notAfter: number; within: Context },
  ): Promise<Outcome> {
    return new Promise((resolve) => {
      if (this.#closing) return resolve(POSTPONED)
      const giveUp = (): void => resolve(POSTPONED)
      this.#waiting.add(giveUp)
      void limit(async () => {
        this.#waiting.delete(giveUp)
        if (this.#closing || performance.now() > notAfter) return giveUp()
        resolve(await inHandleSpan(batch, within, () => this.#call(registration, batch, item)))
      })
      return undefined
    })
  }

  async #call({ fn, timeoutMs }: Registration, batch: Batch, item: Item): Promise<Outcome> {
    const controller = new AbortController()
    const { signal } = controller
    this.#controllers.add(controller)
    const started = performance.now()
    let timer: NodeJS.Timeout | undefined
    let grace: NodeJS.Timeout | undefined
    const cut = new Promise<Outcome>((resolve) => {
      timer = setTimeout(() => {
        const error = new KnellError('handler_timeout', `Not handled within ${timeoutMs} ms.`)
        // Settled first, so that what the handler makes of its signal does not hide why.
        resolve({ what: 'failed', error })
        controller.abort(error)
      }, timeoutMs)
      signal.addEventListener('abort', () => {
        grace = setTimeout(() => resolve(POSTPONED), ABORT_GRACE_MS)
      })
    })
    try {
      return await Promise.race([this.#settle(fn, batch, item, signal), cut])
    } finally {
      clearTimeout(timer)
      clearTimeout(grace)
      this.#controllers.delete(controller)
      this.#onRan(batch.entry.kind, performance.now() - started)
    }
  }

  async #settle(
    fn: Registration['fn'],
    { entry, attempt }: Batch,
    { event, key }: Item,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { tenant, kind, shard, epoch, seq, at } = entry
    try {
      await fn(event, {
        signal,
        attempt: attempt + 1,
        key,
        source: { tenant, kind, shard, epoch, seq, at },
      })
      return HANDLED
    } catch (error) {
      // What a handler throws since it was told to stop is no fault of the event's.
      return signal.aborted && signal.reason === this.#closed
        ? POSTPONED
        : { what: 'failed', error }
    }
  }

  /** Begins nothing more; what runs has `boundMs` to end, then its signal aborts. */
  async close(boundMs: number): Promise<void> {
    this.#closing = true
    for (const giveUp of this.#waiting) giveUp()
    this.#waiting.clear()
    const timer = setTimeout(() => {
      for (const controller of this.#controllers) controller.abort(this.#closed)
    }, boundMs)
    await Promise.all([...this.#running.values()].map(({ outcome }) => outcome))
    clearTimeout(timer)
  }
}
