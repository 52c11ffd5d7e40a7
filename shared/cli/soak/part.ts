import type { Child } from '../bench/child.ts'
import { openChild } from '../bench/child.ts'
import { spawnKnell, type KnellKind, type KnellProcess } from '../processes.ts'
import type { Proxy } from '../../testing/tcp-proxy.ts'
import type { Service, ServiceOptions } from './service.ts'

/** One process of the system under test, with the ways to harm it. */
export interface Part {
  readonly name: string
  readonly kind: KnellKind | 'subscriber'
  /** Undefined while it does not run. */
  readonly pid: number | undefined
  readonly isPaused: boolean
  /** What it wrote last. */
  readonly lastWords: string
  /** What its connection to RabbitMQ goes through. */
  readonly broker: Proxy
  /** What its connection to Redis goes through; a subscriber has none. */
  readonly store?: Proxy
  start(): Promise<void>
  kill(): Promise<void>
  pause(): void
  goOn(): void
  /** In good order, and for good. */
  stop(): Promise<void>
}

/** A process starts also while an engine is away, so only its own life is waited for. */
const START_WITHIN_MS = 60_000

/** A notifier or a poller, on the same port whenever it starts. */
export class KnellPart implements Part {
  readonly name: string
  readonly kind: KnellKind
  readonly broker: Proxy
  readonly store: Proxy
  readonly url: string
  readonly #env: Readonly<Record<string, string>>
  readonly #onLine: (line: string) => void
  #process: KnellProcess | undefined
  isPaused = false

  constructor(options: {
    readonly name: string
    readonly kind: KnellKind
    readonly port: number
    readonly env: Readonly<Record<string, string>>
    readonly broker: Proxy
    readonly store: Proxy
    readonly onLine: (line: string) => void
  }) {
    this.name = options.name
    this.kind = options.kind
    this.broker = options.broker
    this.store = options.store
    this.url = `http://127.0.0.1:${options.port}`
    this.#env = { ...options.env, PORT: `${options.port}` }
    this.#onLine = options.onLine
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  get lastWords(): string {
    return this.#process?.output.slice(-5).join(' ') ?? ''
  }

  async start(): Promise<void> {
    const started = await spawnKnell(this.kind, this.#env, {
      until: '/livez',
      readyWithinMs: START_WITHIN_MS,
      onLine: this.#onLine,
    })
    this.#process = started
  }

  async kill(): Promise<void> {
    const killed = this.#process
    this.#process = undefined
    await killed?.kill()
  }

  pause(): void {
    this.isPaused = true
    void this.#process?.kill('SIGSTOP')
  }

  goOn(): void {
    this.isPaused = false
    void this.#process?.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    this.goOn()
    const stopped = this.#process
    this.#process = undefined
    await stopped?.stop()
  }
}

/** One instance of a consuming service. */
export class ServicePart implements Part {
  readonly kind = 'subscriber'
  /** It writes to the standard error of the soak. */
  readonly lastWords = ''
  readonly name: string
  readonly broker: Proxy
  readonly options: ServiceOptions
  #child: Child<Service> | undefined
  pid: number | undefined
  isPaused = false
  /** Resolves when what was started last has its handlers running. */
  #started: Promise<void> = Promise.resolve()

  constructor(name: string, broker: Proxy, options: ServiceOptions) {
    this.name = name
    this.broker = broker
    this.options = options
  }

  /** Undefined while it does not run, or cannot answer. */
  get child(): Child<Service> | undefined {
    return this.isPaused ? undefined : this.#child
  }

  /** Resolves when the process runs; with what it needs away, it becomes ready when that is back. */
  async start(): Promise<void> {
    const child = openChild<Service>('../soak/service', { execArgv: ['--expose-gc'] })
    this.pid = await child.call('pid')
    this.#child = child
    this.#started = child.call('start', this.options)
    // A process that is killed while it starts is no failure; whoever waits for it learns of one.
    this.#started.catch(() => {})
  }

  /** @throws what `connect` or `handle` threw */
  ready(): Promise<void> {
    return this.#started
  }

  async kill(): Promise<void> {
    const child = this.#child
    const { pid } = this
    this.#child = undefined
    this.pid = undefined
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
    await child?.stop()
  }

  pause(): void {
    this.isPaused = true
    if (this.pid !== undefined) process.kill(this.pid, 'SIGSTOP')
  }

  goOn(): void {
    this.isPaused = false
    if (this.pid !== undefined) process.kill(this.pid, 'SIGCONT')
  }

  async stop(): Promise<void> {
    if (this.isPaused) this.goOn()
    const child = this.#child
    this.#child = undefined
    this.pid = undefined
    await child?.stop()
  }
}
