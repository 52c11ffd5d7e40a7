import jwt from 'jsonwebtoken'
import { generateKeyPairSync, randomBytes, randomUUID, type KeyObject } from 'node:crypto'
import type { Reason } from '../../domain/reasons.ts'

const LIFE_SECONDS = 15 * 60
const CLIENT = 'web'

/** A token that the issuer has signed. */
export interface Issued {
  readonly jti: string
  readonly sub: string
  readonly sid: string
  readonly exp: number
  readonly token: string
}

/** What a token is to say, beyond what every one does. */
export interface Wish {
  readonly sub: string
  readonly clientId?: string
  /** NumericDate; default: now. */
  readonly iat?: number
  /** NumericDate; default: 15 minutes after `iat`. */
  readonly exp?: number
}

export interface Revocation {
  readonly match: Readonly<Record<string, string>>
  readonly except?: Readonly<Record<string, string>>
  readonly reason: Reason
  /** Answer when every live instance has applied it, or after so long. */
  readonly wait?: { readonly for: 'all'; readonly timeoutMs: number }
}

/** What the notifier says of the enforcement of a revocation that waited for it. */
export interface Enforced {
  readonly done: boolean
  readonly live: number
  readonly applied: number
  readonly missing: readonly { readonly service: string }[]
}

/** What the demo reads in the answer to a revocation or a hold. */
export interface Answer {
  /** The cut-off: a token of this match that is to be good must have a later `iat`. */
  readonly issuedBefore?: number | null
  readonly enforced?: Enforced
}

/** The side that signs tokens, registers them with Knell and revokes them. */
export class Issuer {
  readonly issuer = 'https://login.example'
  /** The secret of an API key for everything, and of one that only the services have. */
  readonly secrets: { readonly issuer: string; readonly services: string } = {
    issuer: newSecret(),
    services: newSecret(),
  }
  readonly #kid = 'demo-1'
  readonly #privateKey: KeyObject
  readonly #publicKey: KeyObject

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#privateKey = privateKey
    this.#publicKey = publicKey
  }

  /** The public key as a JWK set (RFC 7517, section 5). */
  get jwks(): string {
    const jwk = this.#publicKey.export({ format: 'jwk' })
    return JSON.stringify({ keys: [{ ...jwk, kid: this.#kid, alg: 'ES256', use: 'sig' }] })
  }

  /** In the form of the setting API_KEYS. */
  get apiKeys(): string {
    const { issuer, services } = this.secrets
    return `issuer=${issuer}:* services=${services}:feed:read`
  }

  sign(wish: Wish): Issued {
    const iat = wish.iat ?? Math.floor(Date.now() / 1000)
    const exp = wish.exp ?? iat + LIFE_SECONDS
    const [jti, sid] = [randomUUID(), randomUUID()]
    const claims = { jti, sub: wish.sub, sid, client_id: wish.clientId ?? CLIENT }
    const token = jwt.sign({ iss: this.issuer, ...claims, iat, exp }, this.#privateKey, {
      algorithm: 'ES256',
      keyid: this.#kid,
    })
    return { jti, sub: wish.sub, sid, exp, token }
  }

  /** Registers all of them in one call and returns how many the notifier says it took. */
  async register(notifier: string, tokens: readonly Issued[]): Promise<number> {
    const body = tokens.map(({ token }) => ({ token }))
    const answer = await this.#call(notifier, 'POST', '/v1/tokens', body)
    return (answer as { registered: number }).registered
  }

  async revoke(notifier: string, revocation: Revocation): Promise<Answer> {
    return (await this.#call(notifier, 'POST', '/v1/revocations', revocation)) as Answer
  }

  /** Holds instead of revoking: nobody dies before `reviewBy` (NumericDate), then everybody does. */
  async hold(notifier: string, revocation: Revocation, reviewBy: number): Promise<Answer> {
    const body = { ...revocation, hold: { reviewBy, outcome: 'revoke' } }
    return (await this.#call(notifier, 'POST', '/v1/revocations', body)) as Answer
  }

  async release(notifier: string, match: Revocation['match']): Promise<void> {
    await this.#call(notifier, 'POST', '/v1/revocations/release', { match })
  }

  /** What the last sweeps found, the newest first. */
  async sweeps(poller: string): Promise<Sweep[]> {
    return ((await this.#call(poller, 'GET', '/v1/sweeps')) as { sweeps: Sweep[] }).sweeps
  }

  async #call(base: string, method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.secrets.issuer}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
    return JSON.parse(text)
  }
}

/** What the demo reads in a sweep's report. */
export interface Sweep {
  readonly at: number
  readonly overdueTokens: number
  readonly unsentEntries: number
}

function newSecret(): string {
  return randomBytes(18).toString('base64url')
}
