import { createHash, randomBytes } from 'node:crypto'
import type { Store } from './store.ts'
import { toStoreError } from './store-error.ts'

/** A session of the dashboard, as the store keeps it. */
export interface KeptSession {
  /** The name of the API key that logged in. */
  readonly key: string
  /** What binds the session to the key's secret. */
  readonly proof: string
  /** After so many ms it ends if nobody does anything. */
  readonly idleLeftMs: number
  /** After so many ms it ends in any case. */
  readonly leftMs: number
}

const DEFAULT_TIMES = { lifeMs: 8 * 3_600_000, idleMs: 3_600_000 }
const ID = /^[A-Za-z0-9_-]{43}$/

/**
 * Sessions of the dashboard, shared by all notifiers: one that was opened at one is known to, and
 * ended for, every other. Of the id that the browser holds the store keeps only a digest.
 */
export class SessionStore {
  readonly #store: Store
  readonly #lifeMs: number
  readonly #idleMs: number

  constructor(
    store: Store,
    { lifeMs, idleMs }: { lifeMs: number; idleMs: number } = DEFAULT_TIMES,
  ) {
    this.#store = store
    this.#lifeMs = lifeMs
    this.#idleMs = idleMs
  }

  /** The id of a new session, which only the browser gets to hold. `prove` binds it to the key's secret. */
  async open(key: string, prove: (id: string) => string): Promise<string> {
    const id = randomBytes(32).toString('base64url')
    const args = [key, prove(id), this.#lifeMs, this.#idleMs]
    await this.#store.run('openSession', [this.#keyOf(id)], args)
    return id
  }

  /** Undefined where there is none, or no more. `renew`: somebody is there, so its idle time begins anew. */
  async read(id: string, renew: boolean): Promise<KeptSession | undefined> {
    if (!ID.test(id)) return undefined
    const args = [renew ? this.#idleMs : 0]
    const [key, proof, idleLeftMs, leftMs] = await this.#store.run(
      'readSession',
      [this.#keyOf(id)],
      args,
    )
    if (key === undefined) return undefined
    return {
      key: String(key),
      proof: String(proof),
      idleLeftMs: Number(idleLeftMs),
      leftMs: Number(leftMs),
    }
  }

  /** Ends it for every notifier. Ending what has ended is fine. */
  async end(id: string): Promise<void> {
    try {
      await this.#store.redis.del(this.#keyOf(id))
    } catch (error) {
      throw toStoreError(error)
    }
  }

  #keyOf(id: string): string {
    return this.#store.keys.session(createHash('sha256').update(id).digest('hex'))
  }
}
