import '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { randomUUID } from 'node:crypto'
import type { ApiKey, KeyRing } from '../../shared/config/api-keys.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import type { SessionStore } from '../../shared/store/session-store.ts'
import { isSameOrigin } from './same-origin.ts'

/** The prefix binds the cookie to this host, to TLS (or loopback) and to the path `/`. */
const COOKIE = '__Host-knell-ops'
const FLAGS = { path: '/', httpOnly: true, secure: true, sameSite: 'strict' } as const
/** What the process says to itself, so that its own reads for a viewer do not count as somebody being there. */
const OWN_READ = 'knell-own-read'

/** When a session ends, in ms from now. */
export interface SessionEnd {
  readonly idleLeftMs: number
  readonly leftMs: number
}

/**
 * Lets a cookie stand for the API key that logged in. A session has no rights of its own: it is its
 * key, for as long as the key is there with the same secret.
 */
export class Sessions {
  readonly #store: SessionStore
  readonly #own: string = randomUUID()
  readonly #ends = new WeakMap<FastifyRequest, SessionEnd>()

  constructor(store: SessionStore) {
    this.#store = store
  }

  /** @throws KnellError `forbidden` where another origin uses the cookie, `store_*` */
  async read(request: FastifyRequest, keys: KeyRing): Promise<ApiKey | undefined> {
    const id = idOf(request)
    if (id === undefined) return undefined
    const { method, headers } = request
    const url = request.routeOptions.url ?? ''
    const isLook = (method === 'GET' || method === 'HEAD') && url.startsWith('/ops')
    if (!isSameOrigin(headers, !isLook)) {
      throw new KnellError(
        'forbidden',
        'The cookie of the dashboard is only for calls of the dashboard itself, from its own origin.',
      )
    }
    const isOwn = headers[OWN_READ] === this.#own
    const renew = !isOwn && url !== '/ops/events'
    const kept = await this.#store.read(id, renew)
    const held = kept && keys.named(kept.key)
    if (kept === undefined || held?.prove(id) !== kept.proof) return undefined
    const { idleLeftMs, leftMs } = kept
    this.#ends.set(request, { idleLeftMs, leftMs })
    return held.key
  }

  /** When the session that `read` found for a request ends; undefined where it came with a secret. */
  endOf(request: FastifyRequest): SessionEnd | undefined {
    return this.#ends.get(request)
  }

  /** Answers how many of the key's sessions had to end for it. @throws KnellError `store_*` */
  async open(reply: FastifyReply, key: ApiKey, keys: KeyRing | 'open'): Promise<number> {
    const held = keys === 'open' ? undefined : keys.named(key.name)
    // Without authentication there is nothing that a session could stand for.
    if (held === undefined) return 0
    const { id, ended } = await this.#store.open(key.name, (text) => held.prove(text))
    const cookie = reply.server.serializeCookie(COOKIE, id, FLAGS)
    void reply.header('set-cookie', cookie)
    return ended
  }

  /** Says whether there was one. @throws KnellError `store_*` */
  async end(request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    const id = idOf(request)
    const ended = id !== undefined && (await this.#store.end(id))
    const cookie = reply.server.serializeCookie(COOKIE, '', { ...FLAGS, maxAge: 0 })
    void reply.header('set-cookie', cookie)
    return ended
  }

  /** The headers with which the process itself reads what the sender of a request may see. */
  ownRead({ headers }: FastifyRequest): Record<string, string> {
    const { authorization, cookie = '' } = headers
    if (authorization !== undefined) return { authorization }
    return { cookie, 'knell-via': 'ops', [OWN_READ]: this.#own }
  }
}

function idOf(request: FastifyRequest): string | undefined {
  const { cookie } = request.headers
  return cookie === undefined ? undefined : request.server.parseCookie(cookie)[COOKIE]
}
