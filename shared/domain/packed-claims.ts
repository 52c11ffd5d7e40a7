import { audiencesOf, type Claims, type Header } from './claims.ts'

const CLAIM_NAME = /^[A-Za-z0-9_.:/-]{1,64}$/
const MAX_TEXT = 256
const OPENING = 0x5b
/** Past this many sets of claim names the names themselves are kept with each token. */
const MAX_NAME_SETS = 1000

/** Claims and header as far as they can tell whether a token dies. */
export interface Token {
  readonly claims: Claims
  readonly header: Header | undefined
}

/** Whether a rule can name this value, or a judgement read it. */
function isTelling(value: unknown): boolean {
  if (typeof value === 'string') return value.length <= MAX_TEXT
  return typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
}

/**
 * Puts what rules could match of a token into one text, and reads it back: a fifth of the objects
 * and half of the bytes of its claims, and nothing that the caller can still change. Two tokens
 * with the same text die the same death, whatever else they hold.
 */
export class PackedClaims {
  readonly #numbers = new Map<string, number>()
  readonly #sets: (readonly string[])[] = []

  /** The header's `kid` stands in the place of a claim of this name, which no rule can mean. */
  pack(claims: Claims, header: Header | undefined): string {
    const names: string[] = []
    for (const name of Object.keys(claims)) {
      if (name === 'kid' || name === '__proto__' || !CLAIM_NAME.test(name)) continue
      if (name === 'aud' || isTelling(claims[name])) names.push(name)
    }
    if (isTelling(header?.['kid'])) names.push('kid')
    const values: unknown[] = [this.#numberOf(names.sort())]
    for (const name of names) {
      if (name === 'kid') values.push(header?.['kid'])
      else values.push(name === 'aud' ? audiencesOf(claims).filter(isTelling) : claims[name])
    }
    return inOnePiece(JSON.stringify(values))
  }

  #numberOf(names: readonly string[]): number | string {
    const key = names.join(',')
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    if (this.#sets.length >= MAX_NAME_SETS) return key
    const number = this.#sets.push(names) - 1
    this.#numbers.set(key, number)
    return number
  }

  unpack(text: string): Token {
    const [first, ...values] = JSON.parse(text) as [number | string, ...unknown[]]
    const names = typeof first === 'number' ? this.#sets[first] : first.split(',')
    const claims: Record<string, unknown> = {}
    let header: Header | undefined
    for (const [i, name] of (names ?? []).entries()) {
      if (name === 'kid') header = { kid: values[i] }
      else claims[name] = values[i]
    }
    return { claims, header }
  }
}

/** The engine makes a long text as a rope of pieces, a third larger; reading a character makes it one. */
function inOnePiece(text: string): string {
  return text.charCodeAt(0) === OPENING ? text : ''
}
