import { createHash, sign, type KeyObject } from 'node:crypto'
import { signingInput, typOf, writeHeader, type SignedKind } from './detached-jws.ts'
import { EVENT_ALG, type EventKey } from './event-keys.ts'

/** Signatures of so many entries are kept, some 500 bytes each, so that one entry is not signed for every puller. */
const MAX_KEPT = 10_000

/** A text and the detached JWS over its UTF-8 bytes. */
export interface Signed {
  readonly body: string
  readonly signature: string
}

/**
 * Signs what leaves for the subscribers, with the first of the configured keys. Entries are stored
 * unsigned and signed whenever they are sent, so a change of keys needs no change of the store.
 */
export class EventSigner {
  readonly #key: KeyObject
  readonly #kid: string
  readonly #namespace: string
  readonly #headers = new Map<SignedKind, string>()
  readonly #kept = new Map<string, string>()

  /** @throws TypeError without a key */
  constructor(keys: readonly EventKey[], namespace: string) {
    const [first] = keys
    if (first === undefined) throw new TypeError('A signer needs a key.')
    this.#key = first.key
    this.#kid = first.kid
    this.#namespace = namespace
  }

  /** The detached JWS over the UTF-8 bytes of an entry's body, made once for however many pull it. */
  signOnce(body: string): string {
    const digest = createHash('sha256').update(body).digest('base64')
    const known = this.#kept.get(digest)
    const signature = known ?? this.sign('entry', body)
    // The one used last is the last to go.
    if (known !== undefined) this.#kept.delete(digest)
    else if (this.#kept.size >= MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value ?? '')
    this.#kept.set(digest, signature)
    return signature
  }

  /** A value as JSON text, signed. */
  signed(kind: SignedKind, value: unknown): Signed {
    const body = JSON.stringify(value)
    return { body, signature: this.sign(kind, body) }
  }

  /** The detached JWS over the UTF-8 bytes of `body`. */
  sign(kind: SignedKind, body: string): string {
    const header = this.#headerOf(kind)
    const signature = sign('sha256', signingInput(header, Buffer.from(body)), {
      key: this.#key,
      dsaEncoding: 'ieee-p1363',
    })
    return `${header}..${signature.toString('base64url')}`
  }

  #headerOf(kind: SignedKind): string {
    let header = this.#headers.get(kind)
    if (header === undefined) {
      const typ = typOf(this.#namespace, kind)
      header = writeHeader({ alg: EVENT_ALG, kid: this.#kid, typ })
      this.#headers.set(kind, header)
    }
    return header
  }
}
