import { KnellError, type ErrorCode } from '../domain/errors.ts'

/**
 * Why something was refused that claimed to come from Knell. `unsigned`: it has no signature though
 * keys are pinned. `altered`: its signature is not a pinned key's over these bytes. `foreign`: it is
 * of another tenant or log than the way it came by. `replayed`: it is a copy of what was said before.
 */
export type RefusedWhy = 'unsigned' | 'altered' | 'foreign' | 'replayed'

const codes: Readonly<Record<RefusedWhy, ErrorCode>> = {
  unsigned: 'event_unsigned',
  altered: 'event_signature_invalid',
  foreign: 'event_foreign_tenant',
  replayed: 'event_replayed',
}

/** Each reason is reported at most so often: whoever sends a flood must not fill the log as well. */
const REPORT_MS = 1000

export function refusal(why: RefusedWhy, message: string): KnellError {
  return new KnellError(codes[why], message)
}

/** The reason of an error made by `refusal`, or undefined for any other. */
export function whyOf(error: unknown): RefusedWhy | undefined {
  if (!(error instanceof KnellError)) return undefined
  return (Object.keys(codes) as RefusedWhy[]).find((why) => codes[why] === error.code)
}

/** Counts all that was refused, and reports it now and then. */
export class Refusals {
  readonly counts: Record<RefusedWhy, number> = {
    unsigned: 0,
    altered: 0,
    foreign: 0,
    replayed: 0,
  }
  readonly #report: (error: KnellError, count: number) => void
  readonly #reported = new Map<RefusedWhy, { at: number; count: number }>()

  /** `report` is told of the newest refusal and how many of its kind there were since the last report. */
  constructor(report: (error: KnellError, count: number) => void) {
    this.#report = report
  }

  count(why: RefusedWhy): void {
    this.counts[why] += 1
  }

  refuse(error: KnellError): void {
    const why = whyOf(error)
    if (why === undefined) return
    this.count(why)
    const { at, count } = this.#reported.get(why) ?? { at: -Infinity, count: 0 }
    const now = performance.now()
    if (now - at < REPORT_MS) return
    this.#reported.set(why, { at: now, count: this.counts[why] })
    this.#report(error, this.counts[why] - count)
  }
}
