import { parseDuration } from './duration.ts'
import { nearMatch } from './near-match.ts'
import { problemsOf } from './problems.ts'
import type { SettingRow } from './settings-table.ts'

export type Env = Readonly<Record<string, string | undefined>>

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

export const logLevels: readonly LogLevel[] = [
  'fatal',
  'error',
  'warn',
  'info',
  'debug',
  'trace',
  'silent',
]

export const LOOPBACK: RegExp = /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/i
/** What NAMESPACE may be: it begins every name in RabbitMQ and Redis. */
export const NAMESPACE: RegExp = /^[a-z][a-z0-9-]{0,19}$/

/** Undefined stands for a value other than the row of the table says it expects. */
export type Parse<T> = (text: string) => T | undefined

export function whole(least: number, most: number): Parse<number> {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN
    return value >= least && value <= most ? value : undefined
  }
}

export function duration(leastMs: number, mostMs: number): Parse<number> {
  return (text) => {
    const value = parseDuration(text)
    return value >= leastMs && value <= mostMs ? value : undefined
  }
}

export function oneOf<T extends string>(values: readonly T[]): Parse<T> {
  return (text) => values.find((value) => value === text)
}

export function matching(accepts: (text: string) => boolean): Parse<string> {
  return (text) => (accepts(text) ? text : undefined)
}

export function isAmqpUrl(text: string): boolean {
  return /^amqps?:\/\//i.test(text) && URL.canParse(text) && new URL(text).hostname !== ''
}

/** One variable, whoever reads it. */
type Row = Omit<SettingRow, 'kinds'>

/** A value of a setting, as it may be shown: no secret, no credentials of a URL, nothing long. */
export function showSetting(row: Row, text: string): string {
  if (row.secret) return 'a text (not shown)'
  if (!row.name.endsWith('_URL')) return JSON.stringify(text.slice(0, 80))
  // What is no URL at all may be a password in the wrong place.
  const scheme = /^[a-z][a-z0-9+]*:\/\//i.exec(text)?.[0]
  if (scheme === undefined) return `a text of ${text.length} characters (not shown)`
  const rest = text.slice(scheme.length)
  const masked = rest.replace(/^.*@/s, '***@').replace(/\?.*$/s, '?***')
  return JSON.stringify(scheme + masked.slice(0, 80))
}

/** Reads an environment by a table, and collects everything that is wrong with it. */
export interface SettingReader {
  readonly problems: string[]
  /** What a variable holds; empty counts as absent. */
  readonly value: (name: string) => string | undefined
  /** Reads one variable. After a problem its result is never used, since the end is a throw. */
  readonly read: <T>(name: string, parse: Parse<T>) => T
  /** Reads what reports its problems itself, each beginning with a variable's name. */
  readonly load: <T>(from: (env: Env) => T) => T | undefined
  /** Variables of another name that one of ours, itself not set, was probably meant by. */
  readonly nearMisses: (missing: readonly string[]) => string[]
}

export function createSettingReader(env: Env, rows: readonly Row[]): SettingReader {
  const problems: string[] = []
  const value = (name: string): string | undefined => env[name]?.trim() || undefined
  const isNear = (one: string): boolean => rows.some((row) => row.name === one && row.near)
  const nearest = (name: string, missing: readonly string[]): string | undefined => {
    const [close, others] = [missing.filter(isNear), missing.filter((one) => !isNear(one))]
    return nearMatch(name, others) ?? nearMatch(name, close, 1)
  }
  return {
    problems,
    value,
    read(name, parse) {
      const row = rows.find((one) => one.name === name)
      if (!row) throw new TypeError(`${name} is not in the table of settings.`)
      const text = value(name) ?? row.default
      let parsed: ReturnType<typeof parse>
      let why = ''
      try {
        if (text !== undefined) parsed = parse(text)
      } catch (error) {
        why = `: ${problemsOf(error).join('; ')}`
      }
      if (parsed === undefined) {
        const found = text === undefined ? 'nothing' : showSetting(row, text)
        problems.push(`${name}: expected ${row.expects}, found ${found}${why}`)
      }
      return parsed as NonNullable<typeof parsed>
    },
    load(from) {
      try {
        return from(env)
      } catch (error) {
        problems.push(...problemsOf(error))
        return undefined
      }
    },
    nearMisses(missing) {
      const known = new Set(rows.map((row) => row.name))
      return Object.keys(env).flatMap((name) => {
        const near = known.has(name) ? undefined : nearest(name, missing)
        if (near === undefined) return []
        return [
          `${name}: no such setting; did you mean ${near}? If another program uses it, set ${near} too`,
        ]
      })
    },
  }
}
