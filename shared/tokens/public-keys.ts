import type { JsonWebKey } from 'node:crypto'
import { isRecord } from '../domain/entry.ts'
import { isKnellError } from '../domain/errors.ts'
import type { Algorithm } from './algorithms.ts'
import { createKeySet, type KeySet } from './key-set.ts'

/** Far more than any provider has; a set is looked at whole while it is read. */
const MAX_KEYS = 100

/** What of a JWK set that somebody else publishes can be used. */
export interface PublicKeys {
  /** Undefined where no key is usable. */
  readonly keys: KeySet | undefined
  /** Why others were passed over. */
  readonly problems: readonly string[]
}

/**
 * Reads the public keys of a JWK set. One that is bad is passed over, so that it costs the tokens of
 * the others nothing: also a secret (`oct`), which would let whoever reads the set mint tokens, and a
 * key whose private part is published. Of several with one `kid` the first counts.
 * @param accepted asymmetric algorithms
 */
export function readPublicKeys(
  { keys: published }: { readonly keys: readonly unknown[] },
  accepted: readonly Algorithm[],
): PublicKeys {
  const problems: string[] = []
  const usable: JsonWebKey[] = []
  const kids = new Set<unknown>()
  for (const [index, jwk] of published.slice(0, MAX_KEYS).entries()) {
    const problem = problemOf(jwk, accepted)
    const kid = isRecord(jwk) ? jwk['kid'] : undefined
    if (problem !== undefined) problems.push(`key ${index + 1} ${problem}`)
    else if (kid !== undefined && kids.has(kid)) problems.push(`key ${index + 1} has a "kid" again`)
    else usable.push(jwk as JsonWebKey)
    kids.add(kid)
  }
  if (published.length > MAX_KEYS) problems.push(`there are more than ${MAX_KEYS} keys`)
  const keys = usable.length === 0 ? undefined : createKeySet({ keys: usable }, accepted)
  return { keys, problems }
}

function problemOf(jwk: unknown, accepted: readonly Algorithm[]): string | undefined {
  if (isRecord(jwk) && (jwk['kty'] === 'oct' || jwk['k'] !== undefined)) {
    return 'is a secret, which no published key may be'
  }
  if (isRecord(jwk) && jwk['d'] !== undefined) {
    return 'has its private part published, so that anybody may sign with it'
  }
  try {
    createKeySet({ keys: [jwk as JsonWebKey] }, accepted)
    return undefined
  } catch (error) {
    if (!isKnellError(error, 'config_invalid')) throw error
    const found = error.details?.['problems']
    const [first] = Array.isArray(found) ? (found as string[]) : []
    return (first ?? error.message).replace(/^.*?key (?:\d+|"[^"]*") /, '')
  }
}
