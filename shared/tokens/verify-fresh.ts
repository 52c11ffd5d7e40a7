import { isKnellError } from '../domain/errors.ts'
import { readUnverified } from './read-unverified.ts'
import type { RemoteKeys } from './remote-keys.ts'
import type { VerifyCall } from './verifier.ts'

/** What verifies one kind of token of one issuer. */
interface Verifies<Token> {
  readonly issuer: string
  verify(token: string, call?: VerifyCall): Token
}

/**
 * Verifies a token by keys that may be older than it: where it names one that is not among them, they
 * are fetched once more before it is refused. Only then is there a promise: making one for every
 * token would cost more than the check that follows.
 * @throws KnellError as `verifier.verify`
 */
export function verifyFresh<Token>(
  verifier: Verifies<Token>,
  keys: RemoteKeys | undefined,
  token: string,
  call?: VerifyCall,
): Token | Promise<Token> {
  try {
    return verifier.verify(token, call)
  } catch (error) {
    if (keys === undefined || !isWorthAsking(error, verifier, keys, token)) throw error
    return keys.refetch().then((isNewer) => {
      if (!isNewer) throw error
      return verifier.verify(token, call)
    })
  }
}

/** What another issuer signed, or a key that is revoked, must not use up the cool-down. */
function isWorthAsking(
  error: unknown,
  { issuer }: Verifies<unknown>,
  keys: RemoteKeys,
  token: string,
): boolean {
  if (!isKnellError(error, 'token_unknown_key') && !isKnellError(error, 'keys_unavailable')) {
    return false
  }
  const { header, claims } = readUnverified(token)
  return claims['iss'] === issuer && !keys.isRevoked(header['kid'])
}
