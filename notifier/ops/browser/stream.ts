import { readSession } from './session.ts'
import type { Topics } from './types.ts'

/** How fresh what the page shows is. */
export type Liveness =
  | { readonly state: 'connecting' | 'live' | 'ended' }
  | { readonly state: 'reconnecting' | 'stale'; readonly since: number }

/** Events come every second; a silence of this long means that nothing is live any more. */
const STALE_MS = 6000
const LOOK_MS = 1000

export type Topic = keyof Topics

const events: readonly Topic[] = [
  'health',
  'overview',
  'subscribers',
  'recent',
  'queues',
  'sweeps',
  'due',
]

type Listener = (data: never) => void

/**
 * The one stream of the page. Keeps the last state of every topic, so that a screen that opens later
 * has something to show at once; says how fresh it is.
 */
export class Stream {
  readonly #listeners = new Map<Topic, Set<Listener>>()
  readonly #last = new Map<Topic, unknown>()
  readonly #watchers = new Set<(liveness: Liveness) => void>()
  readonly #onEnded: () => void
  #source: EventSource | undefined
  #heardAt = 0
  #state: Liveness = { state: 'connecting' }

  constructor(options: { onEnded: () => void }) {
    this.#onEnded = options.onEnded
    setInterval(() => this.#look(), LOOK_MS)
  }

  /** Streams the state of a tenant from now on; what was known of another one is forgotten. */
  open(tenant: string): void {
    this.#source?.close()
    this.#last.clear()
    const source = new EventSource(`/ops/events?tenant=${encodeURIComponent(tenant)}`)
    this.#source = source
    for (const event of events) {
      source.addEventListener(event, ({ data }: MessageEvent<string>) => this.#take(event, data))
    }
    source.addEventListener('ended', () => this.#onEnded())
    source.addEventListener('error', () => this.#lost(source, tenant))
  }

  /** Calls back with the last state at once, where there is one, then with each new one. Returns what ends it. */
  on<K extends Topic>(topic: K, listener: (data: Topics[K]) => void): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set()
    this.#listeners.set(topic, listeners.add(listener))
    if (this.#last.has(topic)) listener(this.#last.get(topic) as Topics[K])
    return () => void listeners.delete(listener)
  }

  /** Calls back with how fresh everything is, at once and whenever that changes. Returns what ends it. */
  onLiveness(watcher: (liveness: Liveness) => void): () => void {
    this.#watchers.add(watcher)
    watcher(this.#state)
    return () => void this.#watchers.delete(watcher)
  }

  last<K extends Topic>(topic: K): Topics[K] | undefined {
    return this.#last.get(topic) as Topics[K] | undefined
  }

  #take(topic: Topic, text: string): void {
    const data = JSON.parse(text) as never
    this.#heardAt = Date.now()
    this.#last.set(topic, data)
    this.#tell({ state: 'live' })
    for (const listener of this.#listeners.get(topic) ?? []) listener(data)
  }

  #lost(source: EventSource, tenant: string): void {
    this.#tell({ state: 'reconnecting', since: this.#heardAt })
    // The browser tries again by itself, but for an answer that was not a stream: ask why, then try anew.
    if (source.readyState !== EventSource.CLOSED || source !== this.#source) return
    setTimeout(() => {
      if (source === this.#source) void this.#again(tenant)
    }, 2000)
  }

  async #again(tenant: string): Promise<void> {
    const session = await readSession()
    if (session.ok && session.body === null) this.#onEnded()
    else this.open(tenant)
  }

  #look(): void {
    if (this.#heardAt === 0 || Date.now() - this.#heardAt < STALE_MS) return
    this.#tell({ state: 'stale', since: this.#heardAt })
  }

  #tell(liveness: Liveness): void {
    if (this.#state.state === 'stale' && liveness.state === 'reconnecting') return
    if (liveness.state === this.#state.state) return
    this.#state = liveness
    for (const watcher of this.#watchers) watcher(liveness)
  }
}
