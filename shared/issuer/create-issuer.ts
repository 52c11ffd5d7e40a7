import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { isKnellError, KnellError } from '../domain/errors.ts'
import { RESERVED_CLAIMS, signAccessToken, type TokenSigner } from '../tokens/sign-access-token.ts'
import {
  toSession,
  toTokens,
  type LoginGrant,
  type LogoutOf,
  type LogoutOptions,
  type RefreshCall,
  type SignGrant,
  type Tokens,
} from './calls.ts'
import { checkRefused, runChecks, type Check } from './checks.ts'
import { IssuerClient } from './issuer-client.ts'
import type { IssuerOptions } from './options.ts'
import { readOwnKey } from './own-key.ts'

/** A refresh token that was used twice: of the two who have it one is a thief. */
export interface Reuse {
  readonly tenant: string
  readonly sid: string
  readonly sub: string
  readonly clientId: string
}

export interface IssuerEvents {
  /** The session has ended. Told at each use of a token of it, so more than once. */
  reuse: [Reuse]
}

const TIMEOUT_MS = 5000
const ACCESS_SECONDS = 300

/**
 * What a login service needs of Knell: begins sessions, refreshes and ends them. Calls fail with a
 * `KnellError`; decide by its `code`. It holds nothing open, so there is nothing to close.
 */
export class Issuer extends EventEmitter<IssuerEvents> {
  readonly #client: IssuerClient
  readonly #tenant: string
  readonly #checks: readonly Check[]
  readonly #own: { readonly issuer: string; readonly signer: TokenSigner } | undefined

  constructor({ url, apiKey, tenant = 'default', checks = [], keys, timeoutMs }: IssuerOptions) {
    super()
    const urls = [url].flat()
    if (urls.length === 0 || !urls.every((one) => /^https?:\/\//.test(one) && URL.canParse(one))) {
      throw new TypeError('url must be one or more URLs of http:// or https://.')
    }
    if (typeof apiKey !== 'string' || apiKey === '') {
      throw new TypeError('apiKey must be the secret of an API key.')
    }
    this.#client = new IssuerClient(urls, apiKey, timeoutMs ?? TIMEOUT_MS)
    this.#tenant = tenant
    this.#checks = checks
    this.#own = keys && { issuer: keys.issuer, signer: readOwnKey(keys.key) }
  }

  /**
   * Begins a session for a user whom the caller knows by now. Sent once: where no answer comes a
   * session may have begun that nobody has a token of.
   * @throws KnellError `grant_refused` where a live rule covers it; `session_exists` where a session of
   *   this `sid` can still be refreshed; `call_failed`
   */
  async login(grant: LoginGrant): Promise<Tokens> {
    const { clientId, expiresInSeconds: expiresIn, ...more } = grant
    const body = { tenant: this.#tenant, client_id: clientId, ...more, expiresIn }
    return toTokens(await this.#client.once('/v1/sessions', body))
  }

  /**
   * Refreshes a session: looks it up, asks the checks, rotates the refresh token. Where the answer is
   * lost it is simply sent again, by this library or by the client: the same successor comes.
   * @throws KnellError `refresh_token_invalid`, `refresh_token_reused`, `session_ended`,
   *   `session_revoked`: the user must log in again. `session_held`, `check_refused`: not now.
   *   `call_failed` and what else is `retryable`: send the same again
   */
  async refresh({ refreshToken, clientId, scope }: RefreshCall): Promise<Tokens> {
    const sent = { tenant: this.#tenant, refreshToken, client_id: clientId }
    return this.#telling(clientId, async () => {
      // Without checks there is nobody to look it up for.
      const claims = this.#checks.length === 0 ? undefined : await this.#check(sent)
      const body = { ...sent, scope, claims }
      return toTokens(await this.#client.repeat('/v1/sessions/refresh', body))
    })
  }

  /** Ends a session: its access tokens die within the push time. Ending what has ended is fine. @throws KnellError `refresh_token_invalid`, `call_failed` */
  async logout(of: LogoutOf, { reason = 'logout' }: LogoutOptions = {}): Promise<void> {
    const named = 'sid' in of ? of : { refreshToken: of.refreshToken, client_id: of.clientId }
    await this.#client.repeat('/v1/sessions/end', { tenant: this.#tenant, ...named, reason })
  }

  /**
   * Signs an access token (RFC 9068) with the key of one's own and registers it; nobody gets a token
   * that is not registered. Its `iat` is this machine's second: after a password change sign no earlier
   * than `issuedBefore + 1`.
   * @throws KnellError `config_invalid` without `keys`; `token_*` where Knell does not take it; `call_failed`
   */
  async sign(grant: SignGrant): Promise<Tokens> {
    if (this.#own === undefined) {
      throw new KnellError('config_invalid', 'Give createIssuer keys to sign with.')
    }
    const { sub, clientId: client_id, aud, scope, claims = {} } = grant
    const reserved = RESERVED_CLAIMS.find((name) => Object.hasOwn(claims, name))
    if (reserved !== undefined) {
      throw new KnellError('invalid_request', `claims must not name ${reserved}.`)
    }
    const { issuer: iss, signer } = this.#own
    const iat = Math.floor(Date.now() / 1000)
    const [jti, sid] = [randomId(), grant.sid ?? randomId()]
    const exp = iat + (grant.expiresInSeconds ?? ACCESS_SECONDS)
    const said = { ...claims, iss, sub, aud, client_id, sid, jti, iat, exp }
    const token = signAccessToken({ ...said, ...(scope === undefined ? {} : { scope }) }, signer)
    await this.#client.repeat('/v1/tokens', { tenant: this.#tenant, token })
    const extra = scope === undefined ? {} : { scope }
    return { accessToken: token, expiresIn: exp - iat, jti, sid, ...extra }
  }

  async #check(sent: object): Promise<object | undefined> {
    const session = toSession(await this.#client.repeat('/v1/sessions/lookup', sent))
    const { claims, refused } = await runChecks(this.#checks, session)
    if (refused === undefined) return claims
    const { why, end } = refused
    if (end !== undefined) await this.logout({ sid: session.sid }, { reason: end })
    throw checkRefused(why, session, end !== undefined)
  }

  async #telling<T>(clientId: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isKnellError(error, 'refresh_token_reused')) {
        const { sid, sub } = error.details ?? {}
        this.emit('reuse', { tenant: this.#tenant, sid: String(sid), sub: String(sub), clientId })
      }
      throw error
    }
  }
}

function randomId(): string {
  return randomBytes(16).toString('base64url')
}

/** @throws TypeError for options out of their bounds; KnellError `config_invalid` for a bad key */
export function createIssuer(options: IssuerOptions): Issuer {
  return new Issuer(options)
}
