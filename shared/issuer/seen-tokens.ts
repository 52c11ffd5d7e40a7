import { isKnellError } from '../domain/errors.ts'
import { problemOfId } from '../domain/claims.ts'
import { readUnverified } from '../tokens/read-unverified.ts'

/** A token that waits to be registered. */
export interface SeenToken {
  readonly token: string
  readonly jti: string
  readonly exp: number
}

/** What of a token registering needs, or why it cannot be registered. `now`: NumericDate. */
export function toSeenToken(token: string, now: number): SeenToken | string {
  try {
    const { jti, exp } = readUnverified(token).claims
    if (problemOfId(jti) !== undefined) return 'no_jti'
    if (typeof exp !== 'number' || !Number.isFinite(exp)) return 'token_claims_invalid'
    if (exp <= now) return 'token_expired'
    return { token, jti: jti as string, exp }
  } catch (error) {
    if (!isKnellError(error)) throw error
    return error.code
  }
}

/** Which tokens have been seen: the newest so many. One that was forgotten is only registered again, which changes nothing. */
export class Known {
  readonly #most: number
  readonly #names = new Set<string>()

  constructor(most: number) {
    this.#most = most
  }

  /** Whether it is new. */
  add(token: SeenToken): boolean {
    const name = nameOf(token)
    if (this.#names.has(name)) return false
    const [oldest] = this.#names
    if (this.#names.size >= this.#most && oldest !== undefined) this.#names.delete(oldest)
    this.#names.add(name)
    return true
  }

  forget(token: SeenToken): void {
    this.#names.delete(nameOf(token))
  }
}

function nameOf({ jti, exp }: SeenToken): string {
  return `${exp} ${jti}`
}
