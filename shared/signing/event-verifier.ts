import { verify, type KeyObject } from 'node:crypto'
import {
  readHeader,
  signingInput,
  splitJws,
  typOf,
  type ProtectedHeader,
  type SignedKind,
} from './detached-jws.ts'
import { EVENT_ALG, publicOf, type EventKey } from './event-keys.ts'

/**
 * What a signature is worth. `unsigned`: there is none. `malformed`: it is not a detached ES256 JWS
 * of the expected kind. `unknown_key`: its key is not pinned. `forged`: it is not of these bytes.
 */
export type SignatureVerdict = 'good' | 'unsigned' | 'malformed' | 'unknown_key' | 'forged'

/** Honest headers are few: one per key and kind. */
const MAX_HEADERS = 64

/** Verifies signatures against pinned keys. */
export class EventVerifier {
  readonly #keys: ReadonlyMap<string, KeyObject>
  readonly #namespace: string
  /** Headers, as they travel, that were part of a good signature. */
  readonly #headers = new Map<string, ProtectedHeader>()

  /** `keys` may be private ones: a process that signs also hears what others of its kind have signed. */
  constructor(keys: readonly EventKey[], namespace: string) {
    this.#keys = new Map(keys.map((key) => [key.kid, publicOf(key)]))
    this.#namespace = namespace
  }

  /** Never throws, whatever the signature is. Only one that names a pinned key costs more than a look. */
  verify(kind: SignedKind, bytes: Uint8Array, signature: unknown): SignatureVerdict {
    if (signature === undefined || signature === null) return 'unsigned'
    const jws = typeof signature === 'string' ? splitJws(signature) : undefined
    if (jws === undefined) return 'malformed'
    const header = this.#headers.get(jws.header) ?? readHeader(jws.header)
    if (header === undefined || header.alg !== EVENT_ALG) return 'malformed'
    if (header.typ !== typOf(this.#namespace, kind)) return 'malformed'
    const key = this.#keys.get(header.kid)
    if (key === undefined) return 'unknown_key'
    try {
      const input = signingInput(jws.header, bytes)
      const given = Buffer.from(jws.signature, 'base64url')
      if (!verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, given)) return 'forged'
      if (this.#headers.size < MAX_HEADERS) this.#headers.set(jws.header, header)
      return 'good'
    } catch {
      return 'forged'
    }
  }
}
