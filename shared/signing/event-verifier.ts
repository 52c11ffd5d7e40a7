import { verify, type KeyObject } from 'node:crypto'
import { readJws, signingInput, typOf, type SignedKind } from './detached-jws.ts'
import { EVENT_ALG, publicOf, type EventKey } from './event-keys.ts'

/**
 * What a signature is worth. `unsigned`: there is none. `malformed`: it is not a detached ES256 JWS
 * of the expected kind. `unknown_key`: its key is not pinned. `forged`: it is not of these bytes.
 */
export type SignatureVerdict = 'good' | 'unsigned' | 'malformed' | 'unknown_key' | 'forged'

/** Verifies signatures against pinned keys. */
export class EventVerifier {
  readonly #keys: ReadonlyMap<string, KeyObject>
  readonly #namespace: string

  /** `keys` may be private ones: a process that signs also hears what others of its kind have signed. */
  constructor(keys: readonly EventKey[], namespace: string) {
    this.#keys = new Map(keys.map((key) => [key.kid, publicOf(key)]))
    this.#namespace = namespace
  }

  /** Never throws, whatever the signature is. Only one that names a pinned key costs more than a look. */
  verify(kind: SignedKind, bytes: Uint8Array, signature: unknown): SignatureVerdict {
    if (signature === undefined || signature === null) return 'unsigned'
    const jws = typeof signature === 'string' ? readJws(signature) : undefined
    if (jws === undefined || jws.header.alg !== EVENT_ALG) return 'malformed'
    if (jws.header.typ !== typOf(this.#namespace, kind)) return 'malformed'
    const key = this.#keys.get(jws.header.kid)
    if (key === undefined) return 'unknown_key'
    try {
      const input = signingInput(jws.encoded, bytes)
      const good = verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, jws.signature)
      return good ? 'good' : 'forged'
    } catch {
      return 'forged'
    }
  }
}
