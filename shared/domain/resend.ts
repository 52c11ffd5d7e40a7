import { parseJson, type EntryHead } from './entry.ts'
import { KnellError } from './errors.ts'
import { toDeadEvent, toErrorRecord } from './handler-messages.ts'

/** An entry as the feed keeps it, as far as it is looked at here. */
interface Kept extends EntryHead {
  readonly events: readonly unknown[]
}

/**
 * The body with which an entry is sent again to one service: unchanged where none of its events is
 * done, else with the open ones only and, in `indexes`, the places they have in the entry. Undefined where all are done.
 */
export function resendOf(body: string, done: ReadonlySet<number>): string | undefined {
  if (done.size === 0) return body
  const { events, ...head } = parseJson(body) as Kept
  const indexes = events.flatMap((_, index) => (done.has(index) ? [] : [index]))
  if (indexes.length === 0) return undefined
  return JSON.stringify({ ...head, indexes, events: indexes.map((index) => events[index]) })
}

/** One event that a service was not able to handle, with its key for idempotency. */
export interface DeadLetter {
  readonly key: string
  readonly kind: string
  readonly body: string
}

/** The dead letters of an entry's open events. Times are the store's, in ms. */
export function deadLettersOf(
  body: string,
  done: ReadonlySet<number>,
  about: {
    readonly service: string
    readonly attempts: number
    readonly firstSeenAt: number
    readonly deadAt: number
  },
): DeadLetter[] {
  const kept = parseJson(body) as Kept
  const { service, attempts } = about
  const problem = new KnellError(
    'not_handled',
    `The service ${service} was sent this event ${attempts} times more and never reported it handled.`,
  )
  const error = toErrorRecord(problem)
  return kept.events.flatMap((event, index) => {
    if (done.has(index)) return []
    const letter = toDeadEvent(kept, index, event, { ...about, error })
    return [{ key: letter.key, kind: letter.kind, body: JSON.stringify(letter) }]
  })
}
