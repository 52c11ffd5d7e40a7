import { createHash } from 'node:crypto'
import type { Outgoing } from '../../broker/publisher.ts'
import { WIRE_VERSION } from '../../domain/entry.ts'
import { KnellError } from '../../domain/errors.ts'
import {
  toDeadEvent,
  toErrorRecord,
  type DeadEvent,
  type PoisonLetter,
  type RetryMessage,
} from '../../domain/handler-messages.ts'
import {
  RETRY_STEPS_MS,
  serviceNamesOf,
  type Names,
  type ServiceNames,
} from '../../domain/names.ts'
import { entryId } from '../../domain/partial-entry.ts'
import type { HandledCounts } from '../events.ts'
import type { TraceText } from '../../tracing/trace-text.ts'
import type { Batch, Item } from './batch.ts'
import type { HandledReporter } from './handled-reporter.ts'
import type { Outbox } from './outbox.ts'
import type { Outcome } from './worker.ts'

/** An event that no instance has a handler for is passed on so often, for about a quarter of an hour: long enough for a rolling deploy. */
const MAX_PASSES = 8
const MAX_RAW_BYTES = 65_536

type Tried = readonly [item: Item, outcome: Outcome]

/** What is to be published for the events of one batch. */
interface Plan {
  readonly messages: readonly Outgoing[]
  readonly counts: HandledCounts
  /** Indexes of events that need nothing more: handled, or given up once the messages are published. */
  readonly done: readonly number[]
  /** ms until the failed ones are tried again. */
  readonly retryMs: number | undefined
}

/** Puts what became of events where it belongs before their delivery is acked: failed ones to a retry step, given-up ones to the dead letters. */
export class Settler {
  readonly #names: Names
  readonly #own: ServiceNames
  readonly #service: string
  readonly #outbox: Outbox
  readonly #reporter: HandledReporter

  constructor(options: {
    names: Names
    service: string
    outbox: Outbox
    reporter: HandledReporter
  }) {
    this.#names = options.names
    this.#own = serviceNamesOf(options.names, options.service)
    this.#service = options.service
    this.#outbox = options.outbox
    this.#reporter = options.reporter
  }

  /** Undefined where what had to be published could not be, or is no longer wanted: the delivery must come again. */
  async settle(
    batch: Batch,
    tried: readonly Tried[],
    maxAttempts: number,
    isWanted: () => boolean,
  ): Promise<HandledCounts | undefined> {
    const handled = tried.flatMap(([{ index }, { what }]) => (what === 'handled' ? [index] : []))
    // True whatever becomes of the rest.
    this.#reporter.done(batch.entry, isAll(batch, handled) ? 'all' : handled)
    const plan = this.#plan(batch, tried, maxAttempts)
    const sent = await Promise.all(
      plan.messages.map((message) => this.#outbox.deliver(message, isWanted)),
    )
    if (sent.includes(false)) return undefined
    if (plan.done.length > handled.length) {
      this.#reporter.done(batch.entry, isAll(batch, plan.done) ? 'all' : plan.done)
    }
    if (plan.retryMs !== undefined) this.#reporter.retrying(batch.entry, plan.retryMs)
    return plan.counts
  }

  #plan(batch: Batch, tried: readonly Tried[], maxAttempts: number): Plan {
    const messages: Outgoing[] = []
    const done: number[] = []
    const again: { failed: Item[]; unhandled: Item[]; postponed: Item[] } = {
      failed: [],
      unhandled: [],
      postponed: [],
    }
    let error: unknown
    let dead = 0
    for (const [item, outcome] of tried) {
      const { what } = outcome
      if (what === 'left') continue
      if (what === 'handled') {
        done.push(item.index)
        continue
      }
      if (what === 'postponed') {
        again.postponed.push(item)
        continue
      }
      const why = what === 'failed' ? outcome.error : noHandler(batch)
      const isLast =
        what === 'failed' ? batch.attempt + 1 >= maxAttempts : batch.passes + 1 >= MAX_PASSES
      if (isLast) {
        messages.push(this.#deadEvent(batch, item, why, what === 'failed' ? 1 : 0))
        done.push(item.index)
        dead += 1
      } else {
        again[what].push(item)
        error ??= why
      }
    }
    const { attempt, passes } = batch
    let retryMs: number | undefined
    const retry = (items: readonly Item[], counts: { attempt: number; passes: number }): void => {
      if (items.length === 0) return
      const step = Math.min(counts.attempt + counts.passes, RETRY_STEPS_MS.length)
      const ms = RETRY_STEPS_MS[step - 1] ?? 0
      retryMs = Math.max(retryMs ?? 0, ms)
      messages.push(this.#retry(batch, items, counts, this.#own.retryKey(step), error))
    }
    retry(again.failed, { attempt: attempt + 1, passes })
    retry(again.unhandled, { attempt, passes: passes + 1 })
    if (again.postponed.length > 0) {
      const counts = { attempt, passes }
      messages.push(this.#retry(batch, again.postponed, counts, this.#own.nowKey, undefined))
    }
    return {
      messages,
      done,
      retryMs,
      counts: {
        handled: done.length - dead,
        retried: again.failed.length + again.unhandled.length,
        dead,
        postponed: again.postponed.length,
      },
    }
  }

  #retry(
    { entry, body, signature, firstSeenAt, trace }: Batch,
    items: readonly Item[],
    { attempt, passes }: { attempt: number; passes: number },
    routingKey: string,
    error: unknown,
  ): Outgoing {
    const message: RetryMessage = {
      v: WIRE_VERSION,
      service: this.#service,
      body,
      ...(signature === undefined ? {} : { signature }),
      indexes: items.map(({ index }) => index),
      attempt,
      passes,
      firstSeenAt,
      ...(error === undefined ? {} : { error: toErrorRecord(error) }),
    }
    return {
      exchange: this.#names.retry,
      routingKey,
      type: 'knell.retry',
      messageId: entryId(entry),
      body: JSON.stringify(message),
      trace,
    }
  }

  #deadEvent(batch: Batch, { index, raw, key }: Item, error: unknown, tries: number): Outgoing {
    const letter = toDeadEvent(batch.entry, index, raw, {
      service: this.#service,
      error: toErrorRecord(error),
      attempts: batch.attempt + tries,
      firstSeenAt: batch.firstSeenAt,
      deadAt: Date.now(),
    })
    return this.#toDead(key, letter, batch.trace)
  }

  /** Puts bytes that nothing explains among the dead letters. Returns whether they lie there. */
  async poison(content: Uint8Array, error: unknown, isWanted: () => boolean): Promise<boolean> {
    const now = Date.now()
    const letter: PoisonLetter = {
      v: WIRE_VERSION,
      service: this.#service,
      key: `poison.${createHash('sha256').update(content).digest('hex').slice(0, 32)}`,
      raw: Buffer.from(content.subarray(0, MAX_RAW_BYTES)).toString('base64'),
      bytes: content.length,
      error: toErrorRecord(error),
      firstSeenAt: now,
      deadAt: now,
    }
    return this.#outbox.deliver(this.#toDead(letter.key, letter), isWanted)
  }

  #toDead(messageId: string, letter: DeadEvent | PoisonLetter, trace?: TraceText): Outgoing {
    return {
      exchange: this.#names.dead,
      routingKey: this.#own.deadKey,
      type: 'knell.dead',
      messageId,
      body: JSON.stringify(letter),
      trace,
    }
  }
}

function isAll(batch: Batch, indexes: readonly number[]): boolean {
  return batch.isWhole && indexes.length === batch.items.length
}

function noHandler({ entry }: Batch): KnellError {
  return new KnellError('no_handler', `No instance that was asked handles ${entry.kind}.`)
}
