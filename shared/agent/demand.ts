import type { Claims } from '../domain/claims.ts'
import { KnellError } from '../domain/errors.ts'
import { isTenant } from '../domain/tenant.ts'

/** What a place in the proxy's configuration demands of a token, besides that it lives. */
export interface Demand {
  readonly scopes: readonly string[]
  readonly tenant?: string
}

export const NO_DEMAND: Demand = { scopes: [] }

/** `scope-token` of RFC 6749, section 3.3. */
const SCOPE = /^[\u0021\u0023-\u005b\u005d-\u007e]+$/

/**
 * Reads `scope` (parted by spaces, or named several times: all are needed) and `tenant` of a query.
 * Whatever else stands there is refused: a demand that is misspelt must not go unheard.
 * @throws KnellError `invalid_request`
 */
export function parseDemand(query: string): Demand {
  const scopes: string[] = []
  let tenant: string | undefined
  for (const [name, value] of new URLSearchParams(query)) {
    const named = value.split(' ').filter((each) => each !== '')
    // One that names none demands nothing, as where a variable of the proxy's configuration was empty.
    if (name === 'scope' && named.length > 0) scopes.push(...named)
    else if (name === 'tenant' && tenant === undefined && isTenant(value)) tenant = value
    else {
      throw new KnellError(
        'invalid_request',
        'The query may have scope, which names at least one, and tenant once with the name of one.',
      )
    }
  }
  if (!scopes.every((scope) => SCOPE.test(scope))) {
    throw new KnellError('invalid_request', 'scope must hold scopes of RFC 6749, section 3.3.')
  }
  return tenant === undefined ? { scopes } : { scopes, tenant }
}

/** The scopes of a token: `scope` (RFC 9068, section 2.2.3), or `scp`, as some issuers call it. */
export function scopesOf({ scope, scp }: Claims): string[] {
  const found: unknown = scope ?? scp
  if (typeof found === 'string') return found.split(' ').filter((each) => each !== '')
  if (!Array.isArray(found)) return []
  return found.filter((each): each is string => typeof each === 'string' && each !== '')
}

/** The scopes that a token lacks. */
export function missingScopes(claims: Claims, { scopes }: Demand): string[] {
  if (scopes.length === 0) return []
  const own = new Set(scopesOf(claims))
  return scopes.filter((scope) => !own.has(scope))
}
