import { createHash, randomBytes } from 'node:crypto'
import type { Store } from './store.ts'

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

/** A session that has just begun. */
export interface OpenedSession {
  /** Only the browser gets to hold it. */
  readonly id: string
  /** So many of the same API key had to end for it. */
  readonly ended: number
}

const DEFAULT_TIMES = { lifeMs: 8 * 3_600_000, idleMs: 3_600_000 }
/** So many of one API key live at once. */
export const MAX_SESSIONS = 100
const ID = /^[A-Za-z0-9_-]{43}$/

/**
 * Sessions of the dashboard, shared by all notifiers: one that was opened at one is known to, and
 * ended for, every other. Of the id that the browser holds the store keeps only a digest. Whoever
 * logs in is always let in: past so many of one API key that one ends which nobody has used for the
 * longest.
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

  /** `prove` binds it to the secret of the API key. @throws KnellError `store_*` */
  async open(key: string, prove: (id: string) => string): Promise<OpenedSession> {
    const id = randomBytes(32).toString('base64url')
    const digest = digestOf(id)
    const args = [digest, key, prove(id), this.#lifeMs, this.#idleMs, MAX_SESSIONS]
    const [ended] = await this.#store.run('openSession', this.#keysOf(digest, key), args)
    return { id, ended: Number(ended) }
  }

  /** Undefined where there is none, or no more. `renew`: somebody is there, so its idle time begins anew. */
  async read(id: string, renew: boolean): Promise<KeptSession | undefined> {
    if (!ID.test(id)) return undefined
    const digest = digestOf(id)
    const named = await this.#named(digest)
    if (named === null) return undefined
    const args = [digest, renew ? this.#idleMs : 0]
    const [key, proof, idleLeftMs, leftMs] = await this.#store.run(
      'readSession',
      this.#keysOf(digest, named),
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

  /** Ends it for every notifier, and says whether there was one. @throws KnellError `store_*` */
  async end(id: string): Promise<boolean> {
    const digest = digestOf(id)
    const named = await this.#named(digest)
    if (named === null) return false
    const [session, sessions] = this.#keysOf(digest, named)
    return this.#store.ask(async (redis) => {
      // Without its hash it is none any more, whatever becomes of the next command.
      const ended = await redis.del(session)
      await redis.zrem(sessions, digest)
      return ended > 0
    })
  }

  /** The API key that it was opened for, which never changes; null where there is no such session. */
  #named(digest: string): Promise<string | null> {
    return this.#store.ask((redis) => redis.hget(this.#store.keys.session(digest), 'key'))
  }

  #keysOf(digest: string, apiKey: string): [string, string] {
    const { keys } = this.#store
    return [keys.session(digest), keys.sessionsOf(apiKey)]
  }
}

function digestOf(id: string): string {
  return createHash('sha256').update(id).digest('hex')
}
