import type { Logger } from 'pino'
import type { Broker } from '../broker/broker.ts'
import { isKnellError, KnellError } from '../domain/errors.ts'
import { Loop } from '../relay/loop.ts'
import { assertFacts, memoryShare } from '../store/facts.ts'
import type { Store } from '../store/store.ts'

/** The share of `maxmemory` above which only revocations are taken. */
const RESERVED_FROM = 0.8

export interface HealthReport {
  readonly status: 'ok' | 'degraded' | 'failing'
  readonly store: { readonly ok: boolean; readonly problem?: string }
  readonly broker: { readonly ok: boolean; readonly blocked: boolean; readonly problem?: string }
}

/** Watches what the process depends on, so that a probe costs no call. */
export class Health {
  readonly #store: Store
  readonly #broker: Broker
  readonly #link: { readonly problem: string | undefined } | undefined
  readonly #loop: Loop
  #storeProblem: string | undefined = 'The store has not answered yet.'
  #brokerProblem: string | undefined = 'RabbitMQ has not answered yet.'
  #memoryShare = 0
  #stopping = false
  #fits = false

  /** `link` knows more than a command that was not answered. */
  constructor(
    store: Store,
    broker: Broker,
    log: Logger,
    link?: { readonly problem: string | undefined },
  ) {
    this.#store = store
    this.#broker = broker
    this.#link = link
    this.#loop = new Loop('health', 1000, () => this.runOnce(), log)
    broker.on('up', () => {
      this.#brokerProblem = undefined
    })
    broker.on('down', () => {
      this.#brokerProblem = 'The connection to RabbitMQ was lost.'
    })
    broker.on('problem', (error) => {
      this.#brokerProblem = error.message
    })
  }

  start(): void {
    void this.runOnce()
    this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** From now on the process is not ready. */
  markStopping(): void {
    this.#stopping = true
  }

  /** Throws unless calls may be served. @throws KnellError `shutting_down`, `store_unavailable`, `store_mismatch` */
  assertServing(): void {
    if (this.#stopping) {
      throw new KnellError(
        'shutting_down',
        'This process is stopping; send the call to another one.',
      )
    }
    // What a store of another layout would be given could never be found again.
    if (!this.#fits) {
      throw new KnellError(
        'store_unavailable',
        `The store cannot be used yet. ${this.#storeProblem ?? ''}`,
      )
    }
  }

  get isStopping(): boolean {
    return this.#stopping
  }

  async runOnce(): Promise<void> {
    try {
      // An emptied store may meanwhile have been taken over by a process with other settings.
      await assertFacts(this.#store)
      this.#memoryShare = await memoryShare(this.#store)
      this.#storeProblem = undefined
      this.#fits = true
    } catch (error) {
      this.#storeProblem = this.#link?.problem ?? messageOf(error)
      if (isKnellError(error, 'store_mismatch')) this.#fits = false
    }
  }

  /** @throws KnellError `store_reserved` where the rest of the store's memory is kept for revocations */
  assertRoom(): void {
    if (this.#memoryShare <= RESERVED_FROM) return
    throw new KnellError(
      'store_reserved',
      'The store has used 80 % of its memory; the rest is kept for revocations. Raise maxmemory and try again.',
    )
  }

  /**
   * Ready means: can serve its callers. A notifier without RabbitMQ can, since no caller waits for
   * it, so a dead broker only degrades.
   */
  report(): HealthReport {
    const storeOk = this.#storeProblem === undefined && !this.#stopping
    const brokerOk = this.#broker.isUp && !this.#broker.isBlocked
    const blocked = this.#broker.isBlocked
    return {
      status: storeOk ? (brokerOk ? 'ok' : 'degraded') : 'failing',
      store: {
        ok: this.#storeProblem === undefined,
        ...(this.#storeProblem === undefined ? {} : { problem: this.#storeProblem }),
      },
      broker: {
        ok: brokerOk,
        blocked,
        ...(brokerOk || this.#brokerProblem === undefined ? {} : { problem: this.#brokerProblem }),
      },
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
