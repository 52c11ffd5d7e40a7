import type { Context } from '@opentelemetry/api'
import { setTimeout as delay } from 'node:timers/promises'
import { KnellError, isKnellError, toKnellError } from '../../domain/errors.ts'
import type { Kind } from '../../domain/entry.ts'
import type { HandledCounts } from '../events.ts'
import { serviceNamesOf, type Names } from '../../domain/names.ts'
import type { TlsClient } from '../../tls/tls-client.ts'
import { activeContext } from '../../tracing/spans.ts'
import { readTrace } from '../../tracing/trace-text.ts'
import { readBatch, type Batch, type BatchRules, type BodyCheck } from './batch.ts'
import { HandledReporter, type Report } from './handled-reporter.ts'
import { inProcessSpan } from './handler-spans.ts'
import { settleHandle, type HandleOptions, type Handling } from './options.ts'
import { Outbox } from './outbox.ts'
import { ServiceQueue, type Delivery } from './service-queue.ts'
import { Settler } from './settler.ts'
import { Worker, type Owner, type Registration } from './worker.ts'

/** How long handlers may go on once the subscriber is closing. */
const CLOSE_MS = 10_000
/** RabbitMQ takes a delivery away after 30 min, so events that have not begun by then are put back as a message of their own. */
const HOLD_MS = 600_000

/** A delivery that takes longer than this is reported as in hand. */
const IN_HAND_MS = 1000
const RETRY_MS = 100
const FAULT_MS = 1000
const REASSERT_MS = 60_000
const NOTHING: HandledCounts = { handled: 0, retried: 0, dead: 0, postponed: 0 }

export interface HandlersOptions {
  readonly amqp: string
  readonly tls?: TlsClient | undefined
  readonly service: string
  readonly names: Names
  readonly tenants: readonly string[]
  readonly report: Report
  readonly onProblem: (error: KnellError) => void
  /** Told of each handler that ended, after how many ms, and of what became of each delivery's events. */
  readonly onRan?: (kind: Kind, ms: number) => void
  readonly onSettled?: (counts: HandledCounts) => void
  /** Judges an entry's text and signature; without it all are believed. */
  readonly checkBody?: BodyCheck
  /** ms that running handlers have at `close`. Default: 10,000. */
  readonly closeMs?: number
  /** ms after which queues and bindings are declared again. Default: 60,000, and up to half as much again. */
  readonly reassertMs?: number
}

/**
 * The durable handlers of one instance: they share their service's queue with its other instances.
 * A delivery is acked when each of its events is handled, or lies, confirmed, where it is tried
 * again or given up. So whatever dies in between, none is lost; an event may come twice.
 */
export class Handlers {
  readonly #options: HandlersOptions
  readonly #worker: Worker
  readonly #reporter: HandledReporter
  readonly #outbox: Outbox
  readonly #settler: Settler
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #waiters = new Set<(error?: KnellError) => void>()
  #queue: ServiceQueue | undefined
  #started: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(options: HandlersOptions) {
    this.#options = options
    const { amqp: url, tls, service, names, tenants, report, onRan } = options
    this.#worker = new Worker(onRan)
    const onProblem = (error: unknown): void => this.#problem(error)
    this.#reporter = new HandledReporter({
      tenants,
      report,
      handles: () => ({
        kinds: this.#worker.kinds,
        maxAttempts: Math.max(1, ...this.#worker.registrations.map((one) => one.maxAttempts)),
      }),
      onProblem,
    })
    const repair = async (): Promise<void> => this.#queue?.repair()
    this.#outbox = new Outbox({ url, tls, service, names, repair, onProblem })
    this.#settler = new Settler({
      names,
      service,
      outbox: this.#outbox,
      reporter: this.#reporter,
    })
  }

  get kinds(): readonly Kind[] {
    return this.#worker.kinds
  }

  get rules(): BatchRules {
    const { service, tenants, checkBody } = this.#options
    return { service, tenants, ...(checkBody === undefined ? {} : { checkBody }) }
  }

  /** Resolves when this instance consumes and the store knows of the service. @throws TypeError, KnellError `broker_topology`, `shutting_down` */
  async handle(
    kinds: readonly Kind[],
    fn: Registration['fn'],
    given: HandleOptions = {},
  ): Promise<Handling> {
    const settled = settleHandle(kinds, fn, given)
    this.#assertOpen()
    const taken = kinds.filter((kind) => this.#worker.has(kind))
    if (taken.length > 0) throw new TypeError(`handle: ${taken.join(', ')} has a handler already.`)
    const registration: Registration = { ...settled, kinds: [...kinds], fn }
    this.#worker.add(registration)
    try {
      this.#started ??= this.#start()
      await this.#started
      await this.#consume()
      await this.#reporter.join()
    } catch (error) {
      await this.#remove(registration)
      throw error
    }
    let stopping: Promise<void> | undefined
    return {
      stop: () => {
        stopping ??= this.#remove(registration)
        return stopping
      },
    }
  }

  get #prefetch(): number {
    return Math.max(1, ...this.#worker.registrations.map(({ prefetch }) => prefetch))
  }

  #assertOpen(): void {
    if (this.#closing === undefined) return
    throw new KnellError('shutting_down', 'The subscriber is closed.')
  }

  async #start(): Promise<void> {
    const { amqp: url, tls, service, names, tenants, reassertMs = REASSERT_MS } = this.#options
    // Handlers that are given in one go are all there before the first event comes.
    await Promise.resolve()
    this.#queue = new ServiceQueue({
      url,
      tls,
      service,
      names,
      tenants,
      kinds: () => this.#worker.kinds,
      prefetch: this.#prefetch,
      reassertMs,
      onDelivery: (delivery) => this.#track(this.#receive(delivery)),
      onUp: () => this.#wake(),
      onProblem: (error) => {
        this.#problem(error)
        if (error.code === 'broker_topology') this.#wake(error)
      },
    })
    this.#reporter.start()
    await Promise.all([this.#queue.start(), this.#outbox.start()])
  }

  #wake(error?: KnellError): void {
    for (const waiter of this.#waiters) waiter(error)
    this.#waiters.clear()
  }

  /** Resolves when the queue of the service is consumed, with all kinds that have a handler. */
  async #consume(): Promise<void> {
    for (;;) {
      await this.#connected()
      this.#assertOpen()
      try {
        await this.#queue?.refresh(this.#prefetch)
        return
      } catch (error) {
        if (!isKnellError(error, 'broker_unavailable')) throw error
        await delay(RETRY_MS)
      }
    }
  }

  #connected(): Promise<void> {
    // Who closes wakes those that wait, once.
    if (this.#queue?.isUp === true || this.#closing !== undefined) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#waiters.add((error) => (error === undefined ? resolve() : reject(error)))
    })
  }

  /** Begins nothing more with this handler. Without any this instance must not take events from those that have one. */
  async #remove(registration: Registration): Promise<void> {
    this.#worker.remove(registration)
    await this.#queue?.refresh(this.#prefetch).catch(() => {})
    await Promise.all(this.#underWay)
  }

  #track(work: Promise<unknown>): void {
    const known = work
      .catch((error: unknown) => this.#problem(error))
      .finally(() => this.#underWay.delete(known))
    this.#underWay.add(known)
  }

  async #receive(delivery: Delivery): Promise<void> {
    try {
      await this.#take(delivery)
    } catch (error) {
      // A fault of ours must neither lose the message nor make it come again at once, for ever.
      this.#problem(error)
      await delay(FAULT_MS)
      delivery.requeue()
    }
  }

  async #take(delivery: Delivery): Promise<void> {
    let batch: Batch
    try {
      const signature = delivery.headers['knell-signature']
      const text = typeof signature === 'string' ? signature : undefined
      const read = readBatch(delivery.content, text, Date.now(), this.rules)
      batch = { ...read, trace: readTrace(delivery.headers) }
    } catch (error) {
      this.#problem(error)
      const isWanted = (): boolean => delivery.isAlive
      const isDead = await this.#settler.poison(delivery.content, error, isWanted)
      if (isDead) {
        this.#options.onSettled?.({ ...NOTHING, dead: 1 })
        delivery.ack()
      } else delivery.requeue()
      return
    }
    const { queue } = serviceNamesOf(this.#options.names, this.#options.service)
    const counts = await inProcessSpan(queue, batch, (within) =>
      this.#work(batch, delivery, { again: false, within }),
    )
    if (counts === undefined) delivery.requeue()
    else delivery.ack()
  }

  /** Runs a batch and settles it. Undefined where it must come again. */
  async #work(
    batch: Batch,
    owner: Owner,
    how: { again: boolean; within: Context },
  ): Promise<HandledCounts | undefined> {
    const maxAttempts = this.#worker.maxAttempts(batch.entry.kind)
    const notAfter = performance.now() + HOLD_MS
    // Whoever looks for what was never handled is to know that this is in hand.
    const timer = setTimeout(() => this.#reporter.retrying(batch.entry, HOLD_MS), IN_HAND_MS)
    const tried = await Promise.all(
      batch.items.map(
        async (item) =>
          [item, await this.#worker.run(batch, item, owner, { ...how, notAfter })] as const,
      ),
    )
    clearTimeout(timer)
    // Nothing of it was tried: it goes back as it came.
    const isUntouched = tried.every(([, { what }]) => what === 'postponed')
    if (isUntouched && this.#closing !== undefined) return undefined
    const counts = await this.#settler.settle(batch, tried, maxAttempts, () => owner.isAlive)
    if (counts !== undefined) this.#options.onSettled?.(counts)
    return counts
  }

  /** Runs the handlers on a batch that no queue brought. Undefined where it could not be settled since we are closing. */
  async runAgain(batch: Batch): Promise<HandledCounts | undefined> {
    this.#assertOpen()
    if (!this.#worker.has(batch.entry.kind)) return NOTHING
    const how = { again: true, within: activeContext() }
    const work = this.#work(batch, { isAlive: true, isPassing: true }, how)
    this.#track(work)
    return work
  }

  #problem(error: unknown): void {
    this.#options.onProblem(toKnellError(error, 'internal'))
  }

  /** Takes no more, lets what runs finish within a bound, puts the rest back. Twice is fine. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#wake(new KnellError('shutting_down', 'The subscriber was closed.'))
    await this.#started
    await this.#queue?.stopConsuming()
    await this.#worker.close(this.#options.closeMs ?? CLOSE_MS)
    // What cannot be published now goes back into the queue whole.
    this.#outbox.hurry()
    await Promise.all(this.#underWay)
    await this.#reporter.close()
    await Promise.all([this.#queue?.close(), this.#outbox.close()])
  }
}
