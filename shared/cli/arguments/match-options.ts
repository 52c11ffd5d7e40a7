import { Option, type Command } from 'commander'
import { parseMatch, type ClaimValue, type Match } from '../../domain/claims.ts'
import { isKnellError } from '../../domain/errors.ts'
import { UsageError } from '../usage-error.ts'

/** The claims that a command is about. */
export interface MatchOptions {
  readonly sub?: string
  readonly jti?: string
  readonly sid?: string
  readonly clientId?: string
  readonly aud?: string
  readonly kid?: string
  readonly claim?: readonly string[]
  readonly all?: boolean
}

const MATCH = 'Match (together: all of them):'

const rows: readonly [flag: string, meaning: string, claim: string][] = [
  ['--sub <text>', 'all tokens of a user', 'sub'],
  ['--sid <text>', 'all tokens of a session', 'sid'],
  ['--jti <text>', 'one token', 'jti'],
  ['--client-id <text>', 'all tokens of a client', 'client_id'],
  ['--aud <text>', 'all tokens for an audience', 'aud'],
  ['--kid <text>', 'all tokens that a key has signed', 'kid'],
]

/** The name of an option in what commander parses. */
function keyOf(flag: string): keyof MatchOptions {
  return new Option(flag).attributeName() as keyof MatchOptions
}

/** Adds one option per usual claim, `--claim` for others, and `--all`. */
export function withMatch(command: Command): Command {
  for (const [flag, meaning] of rows) {
    command.addOption(new Option(flag, meaning).helpGroup(MATCH))
  }
  return command
    .addOption(
      new Option('--claim <name=value>', 'any claim; JSON, or else a text; repeatable')
        .argParser(collect)
        .helpGroup(MATCH),
    )
    .addOption(new Option('--all', 'the whole tenant').helpGroup(MATCH))
}

/** Gathers the values of an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

/** The match that was given, undefined where none was. @throws UsageError */
export function matchOf(options: MatchOptions): Match | undefined {
  const given: [string, ClaimValue][] = rows.flatMap(([flag, , claim]) => {
    const value = options[keyOf(flag)] as string | undefined
    return value === undefined ? [] : [[claim, value]]
  })
  for (const text of options.claim ?? []) given.push(parseClaim(text))
  const twice = given.find(([name], i) => given.slice(0, i).some(([other]) => other === name))
  if (twice !== undefined) throw new UsageError(`The claim "${twice[0]}" is given twice.`)
  if (options.all === true && given.length > 0) {
    throw new UsageError('--all is the whole tenant: give no claims with it.')
  }
  if (given.length === 0 && options.all !== true) return undefined
  return checked(Object.fromEntries(given), 'The match')
}

/** @throws UsageError where nothing was given */
export function neededMatchOf(options: MatchOptions): Match {
  const match = matchOf(options)
  if (match === undefined) {
    throw new UsageError(
      'Say of whom: --sub, --sid, --jti, --client-id, --aud, --kid, --claim or --all.',
    )
  }
  return match
}

/** `name=value`, whose value is JSON where it can be read as a text, a number or a boolean. @throws UsageError */
export function parseClaim(text: string): [name: string, value: ClaimValue] {
  const equals = text.indexOf('=')
  if (equals < 1) throw new UsageError(`"${text}" is no claim: write name=value.`)
  const value = text.slice(equals + 1)
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch {
    parsed = value
  }
  const isValue = ['string', 'number', 'boolean'].includes(typeof parsed)
  return [text.slice(0, equals), isValue ? (parsed as ClaimValue) : value]
}

/** The claims of a repeated `name=value`, undefined where there are none. @throws UsageError */
export function claimsOf(texts: readonly string[] | undefined, what: string): Match | undefined {
  if (texts === undefined || texts.length === 0) return undefined
  return checked(Object.fromEntries(texts.map(parseClaim)), what)
}

function checked(value: unknown, what: string): Match {
  try {
    return { ...parseMatch(value, what) }
  } catch (error) {
    if (isKnellError(error)) throw new UsageError(error.message, { cause: error })
    throw error
  }
}

/** A match as people read it: `sub=alice client_id=app`, or that it is everybody. */
export function showMatch(match: unknown): string {
  const claims = Object.entries((match ?? {}) as Match)
  if (claims.length === 0) return '(the whole tenant)'
  return claims
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ')
}
