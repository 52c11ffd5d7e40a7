import { parseDuration } from '../../config/duration.ts'
import { UsageError } from '../usage-error.ts'

const ISO = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/

/**
 * A moment on the command line, as a NumericDate (RFC 7519, section 2): `now`, `+2h` and `-15m` from
 * now, whole seconds since 1970, or ISO 8601, where what names no zone is in UTC.
 * @throws UsageError
 */
export function parseMoment(text: string, nowMs: number): number {
  if (text === 'now') return Math.floor(nowMs / 1000)
  if (/^\d{1,10}$/.test(text)) return Number(text)
  if (/^[+-]/.test(text)) {
    const ms = durationOf(text.slice(1), text)
    return Math.floor((nowMs + (text.startsWith('-') ? -ms : ms)) / 1000)
  }
  const [, time, , , zone] = ISO.exec(text) ?? []
  const date = new Date(time !== undefined && zone === undefined ? `${text}Z` : text)
  if (!ISO.test(text) || Number.isNaN(date.getTime())) {
    throw new UsageError(
      `"${text}" is no time: write now, +2h, -15m, seconds since 1970, or 2026-01-31T12:00:00Z.`,
    )
  }
  return Math.floor(date.getTime() / 1000)
}

/** A duration on the command line, in ms: `500ms`, `5s`, `24h`. @throws UsageError */
export function durationOf(text: string, whole: string = text): number {
  try {
    return parseDuration(text)
  } catch (error) {
    throw new UsageError(`"${whole}": ${(error as Error).message}`, { cause: error })
  }
}
