/** How numbers, times and matches are written everywhere on the dashboard. */

export type Match = Readonly<Record<string, string | number | boolean>>

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const clock = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })
const full = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone

export const NONE = '–'

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : whole.format(value)
}

/** A rate or a latency: as many digits as say something. */
export function short(value: number): string {
  if (value === 0) return '0'
  if (value < 1) return value.toFixed(2).replace(/0$/, '')
  return value < 10 ? value.toFixed(1) : whole.format(value)
}

/** A length of time in ms, in the unit a person would use. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return NONE
  if (ms < 1000) return `${short(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${pad(seconds % 60)} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${pad(minutes % 60)} min`
  return `${Math.floor(hours / 24)} days`
}

function pad(value: number): string {
  return String(Math.floor(value)).padStart(2, '0')
}

/** A moment (ms) as a clock shows it, with the day where it is not today's. */
export function time(ms: number): string {
  const date = new Date(ms)
  const isToday = new Date().toDateString() === date.toDateString()
  return isToday ? clock.format(date) : `${day.format(date)}, ${clock.format(date)}`
}

/** In which time zone clock times are written, with how far it is from UTC now. */
export function timeZone(): string {
  const parts = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'longOffset' }).formatToParts()
  const offset =
    parts.find(({ type }) => type === 'timeZoneName')?.value.replace('GMT', 'UTC') ?? ''
  return zone === offset ? zone : `${zone} (${offset})`
}

/** A moment (ms) in full, with the time zone of whoever looks. */
export function fullTime(ms: number): string {
  return `${full.format(new Date(ms))} (${zone})`
}

/** A NumericDate (RFC 7519): seconds. */
export function numericDate(seconds: number): string {
  return time(seconds * 1000)
}

/** A match as people say it; `{}` is the whole tenant. */
export function matchText(match: Match): string {
  const claims = Object.entries(match)
  if (claims.length === 0) return 'the whole tenant'
  return claims.map(([name, value]) => `${name} = ${String(value)}`).join(', ')
}

export function plural(value: number, one: string, many: string = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** `revoked` as `Revoked`. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
