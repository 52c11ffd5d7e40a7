import { formatPosition, parsePosition, type Log, type Position } from '../domain/position.ts'
import { shortOf, type ServiceRecord } from './service-record.ts'
import type { Store } from './store.ts'
import type { TraceText } from '../tracing/trace-text.ts'

/** One log of one shard, of one service. */
export interface Place {
  readonly tenant: string
  readonly shard: number
  readonly log: Log
  readonly record: ServiceRecord
}

/** What is known of a service's queue, when an entry that is not done may be taken for lost. */
export interface Evidence {
  /** Whether nothing waits in the queue. */
  readonly empty: boolean
  /** The time (ms) of the newest entry that the service is done with: what was queued before it has been delivered. */
  readonly doneAt: number
}

/** How patient the repair of handlers is; all in ms. */
export interface Patience {
  /** An entry younger than this is not looked at, and one that is open is looked at again after as long. */
  readonly graceMs: number
  /** From the first time an entry is sent again to the second; each later interval is twice as long. */
  readonly baseMs: number
  /** What is added to the time that an instance asked for. */
  readonly marginMs: number
  /** How long a hole is one sweep's. */
  readonly loanMs: number
}

export interface Hole {
  readonly position: Position
  /** How often it was sent again. */
  readonly tries: number
  /** When (ms) a sweep first saw it. */
  readonly firstSeenAt: number
  /** Indexes of events that are done. */
  readonly done: ReadonlySet<number>
  readonly body: string
  /** Where its trace stands. */
  readonly trace?: TraceText
}

export type Outcome = 'sent' | 'unroutable' | 'closed'

/** Why judging stopped: at the end, for this call only, or at an entry that must wait. */
export type ScanWord = 'end' | 'more' | 'young' | 'waiting' | 'full' | 'gone'

const SCAN = 1000
const MAX_BYTES = 1_000_000
/** The most holes of a service in one shard and log. Where there are more, the mark waits: they are found later. */
const MAX_HOLES = 10_000
const MAX_INTERVAL_MS = 3_600_000

/** What of the feed a service has not handled: found, lent to a sweep, and settled. All of it lives in the store, so any sweep can go on. */
export class HoleStore {
  readonly #store: Store
  readonly #patience: Patience

  constructor(store: Store, patience: Patience) {
    this.#store = store
    this.#patience = patience
  }

  /** Judges the entries after the mark, up to a bound. */
  async scan(
    place: Place,
    { empty, doneAt }: Evidence,
    most: number = SCAN,
    mostHoles: number = MAX_HOLES,
  ): Promise<{ word: ScanWord; lost: number; opened: number }> {
    const { graceMs, baseMs, marginMs } = this.#patience
    const keys = this.#keys(place)
    const { unsent } = this.#store.keys.shard(place.tenant, place.shard)
    const [word, lost, opened] = await this.#store.run(
      'scanHandled',
      [...keys, unsent[place.log]],
      [
        place.record.id,
        shortOf(place.log),
        graceMs,
        empty ? 1 : 0,
        doneAt,
        baseMs,
        marginMs,
        most,
        MAX_BYTES,
        mostHoles,
      ],
    )
    return { word: word as ScanWord, lost: Number(lost), opened: Number(opened) }
  }

  /** Takes up to `most` holes that are due; others leave them alone until they are settled, or the loan is over. */
  async claim(
    place: Place,
    { empty, doneAt }: Evidence,
    most: number,
  ): Promise<{ looked: number; lost: number; holes: Hole[] }> {
    const { baseMs, marginMs, loanMs } = this.#patience
    const [looked, lost, ...found] = await this.#store.run('claimHoles', this.#keys(place), [
      place.record.id,
      shortOf(place.log),
      empty ? 1 : 0,
      doneAt,
      marginMs,
      loanMs,
      most,
      MAX_BYTES,
      baseMs,
    ])
    const holes: Hole[] = []
    for (let i = 0; i + 5 < found.length; i += 6) {
      const [position, tries, firstSeenAt, done, body, trace] = found.slice(i, i + 6).map(String)
      holes.push({
        position: parsePosition(position ?? ''),
        tries: Number(tries),
        firstSeenAt: Number(firstSeenAt),
        done: new Set(done ? done.split(',').map(Number) : []),
        body: body ?? '',
        ...(trace ? { trace } : {}),
      })
    }
    return { looked: Number(looked), lost: Number(lost), holes }
  }

  /** Says what became of holes that were claimed. One that nothing is said of is due again when its loan is over. */
  async settle(
    place: Place,
    outcomes: readonly { readonly hole: Hole; readonly outcome: Outcome }[],
  ): Promise<void> {
    if (outcomes.length === 0) return
    const [meta, , ...keys] = this.#keys(place)
    await this.#store.run(
      'settleHoles',
      [String(meta), ...keys],
      [
        place.record.id,
        this.#patience.baseMs,
        MAX_INTERVAL_MS,
        ...outcomes.flatMap(({ hole: { position, tries }, outcome }) => [
          formatPosition(position),
          outcome,
          tries,
        ]),
      ],
    )
  }

  #keys({ tenant, shard, log, record: { service } }: Place): string[] {
    const keys = this.#store.keys.shard(tenant, shard)
    return [
      keys.meta,
      keys.feed[log],
      keys.marks(service),
      keys.handled(service, log),
      keys.holes(service, log),
    ]
  }
}
