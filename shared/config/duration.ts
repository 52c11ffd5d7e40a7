import ms, { type StringValue } from 'ms'
import { KnellError } from '../domain/errors.ts'

const DURATION = /^\d{1,9}(?:ms|s|m|h|d)$/

/**
 * Parses a duration of one whole number and one unit: `500ms`, `5s`, `15m`, `24h`, `30d`.
 * @returns milliseconds, 0 or more
 * @throws KnellError `config_invalid`
 */
export function parseDuration(text: string): number {
  if (DURATION.test(text)) return ms(text as StringValue)
  const why = /^\d+(?:\.\d+)?$/.test(text)
    ? 'has no unit'
    : 'is not a whole number with one of the units ms, s, m, h and d'
  throw new KnellError(
    'config_invalid',
    `${JSON.stringify(text.slice(0, 40))} ${why}; write for example 500ms, 5s, 15m, 24h or 30d.`,
  )
}
