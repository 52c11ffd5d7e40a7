import { KnellError } from './errors.ts'

/** The value of a claim that a match may name. */
export type ClaimValue = string | number | boolean

/** Claims with exact values. `{}` is the whole tenant. `kid` is the header's, the rest are payload claims. */
export type Match = Readonly<Record<string, ClaimValue>>

/** The payload of a verified JWT (RFC 7519, section 4). */
export type Claims = Readonly<Record<string, unknown>>

/** The header of a verified JWT (RFC 7515, section 4). */
export type Header = Readonly<Record<string, unknown>>

const CLAIM_NAME = /^[A-Za-z0-9_.:/-]{1,64}$/
const MAX_CLAIMS = 3
const MAX_TEXT = 256
// oxlint-disable-next-line no-control-regex -- control characters are exactly what is looked for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/
const PLAIN = /^[ -~]+$/
const LONE_SURROGATE = /\p{Surrogate}/u

/** Says what is wrong with a text used as an identifier, or undefined where it is fine. */
export function problemOfId(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be a string'
  if (value.length === 0) return 'must not be empty'
  if (value.length > MAX_TEXT) return `must be at most ${MAX_TEXT} characters, got ${value.length}`
  // Nearly every id is plain, and one look is cheaper than two for what it may not hold.
  if (PLAIN.test(value)) return undefined
  if (CONTROL.test(value)) return 'must not hold control characters or line breaks'
  if (LONE_SURROGATE.test(value)) return 'must be well-formed Unicode'
  return undefined
}

function problemOfValue(value: unknown): string | undefined {
  if (typeof value === 'boolean') return undefined
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return 'must be finite'
    // Beyond 2^53 neighbours are the same number once parsed, so one would match the other.
    const exact = !Number.isInteger(value) || Number.isSafeInteger(value)
    return exact
      ? undefined
      : 'is a whole number beyond 2^53, which JSON cannot tell from its neighbours'
  }
  if (typeof value === 'string') return problemOfId(value)
  return 'must be a string, a number or a boolean'
}

/**
 * Reads a match: a plain object of at most three claims (none: the whole tenant) whose values are
 * strings of 1 to 256 characters, finite numbers or booleans. The result has its names sorted.
 * @throws KnellError `invalid_match`
 */
export function parseMatch(value: unknown, what = 'match'): Match {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new KnellError(
      'invalid_match',
      `${what} must be an object of claims, for example {"sub":"alice"}.`,
    )
  }
  const names = Object.keys(value).sort()
  if (names.length > MAX_CLAIMS) {
    throw new KnellError(
      'invalid_match',
      `${what} names ${names.length} claims; at most ${MAX_CLAIMS} are allowed.`,
    )
  }
  const match: Record<string, ClaimValue> = Object.create(null) as Record<string, ClaimValue>
  for (const name of names) {
    if (!CLAIM_NAME.test(name) || name === '__proto__') {
      throw new KnellError(
        'invalid_match',
        `${what}: a claim name is 1 to 64 characters of A-Z, a-z, 0-9 and _ . : / -`,
      )
    }
    const claim = (value as Record<string, unknown>)[name]
    const problem = problemOfValue(claim)
    if (problem)
      throw new KnellError('invalid_match', `${what}: the value of "${name}" ${problem}.`)
    match[name] = claim as ClaimValue
  }
  return match
}

/** The canonical JSON text of a match: names sorted, no white space. Equal matches have equal keys. */
export function matchKey(match: Match): string {
  let text = '{'
  for (const name of Object.keys(match).sort()) {
    text += `${text.length > 1 ? ',' : ''}${JSON.stringify(name)}:${JSON.stringify(match[name])}`
  }
  return `${text}}`
}

/** The set of claim names of a match, as one text: `client_id,sub`. The empty text is the whole tenant. */
export function shapeOf(match: Match): string {
  return Object.keys(match).sort().join(',')
}

/** Shapes that are always admitted, however many others a tenant uses. */
export const STANDING_SHAPES: readonly string[] = [
  '',
  'jti',
  'sid',
  'sub',
  'client_id',
  'aud',
  'kid',
  'client_id,sub',
]

/** The most shapes a tenant may have in live rules, the standing ones (other than the empty one) included. */
export const MAX_SHAPES = 16

/** The most audiences a checked token may carry. */
export const MAX_AUDIENCES = 16

/** The audiences of a token (RFC 7519, section 4.1.3: a string or an array of strings). */
export function audiencesOf(claims: Claims): readonly ClaimValue[] {
  const { aud } = claims
  if (Array.isArray(aud)) return aud as ClaimValue[]
  return aud === undefined ? [] : [aud as ClaimValue]
}

/** Whether a token carries every claim of `match` with an equal value. */
export function carries(match: Match, claims: Claims, header?: Header): boolean {
  for (const name of Object.keys(match)) {
    const wanted = match[name]
    if (name === 'kid') {
      if (header?.['kid'] !== wanted) return false
    } else if (name === 'aud') {
      if (!audiencesOf(claims).includes(wanted as ClaimValue)) return false
    } else if (claims[name] !== wanted) return false
  }
  return true
}
