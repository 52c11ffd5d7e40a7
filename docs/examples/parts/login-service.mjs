import { createIssuer } from 'knell/issuer'

const { KNELL_URL = 'http://127.0.0.1:7070', KNELL_API_KEY = '' } = process.env
const CLIENT = 'web'

/** Knows who may log in, and in which role. What it decides, Knell makes happen: tokens, and their deaths. */
export class LoginService {
  #accounts = new Map()
  #issuer = createIssuer({
    url: KNELL_URL,
    apiKey: KNELL_API_KEY,
    checks: [(session) => this.#check(session)],
  })

  /** The account of a user, which may be changed. */
  account(user) {
    if (!this.#accounts.has(user)) this.#accounts.set(user, { isActive: true, role: 'customer' })
    return this.#accounts.get(user)
  }

  /** A new session: `{ accessToken, refreshToken, sid }`. */
  async logIn(user) {
    const { isActive, role } = this.account(user)
    if (!isActive) throw new Error(`${user} may not log in.`)
    return this.#issuer.login({ sub: user, clientId: CLIENT, aud: 'shop', claims: { role } })
  }

  /** The session with new tokens. Throws with a `code` where Knell, or the check, does not want it to go on. */
  async refresh({ refreshToken }) {
    return this.#issuer.refresh({ refreshToken, clientId: CLIENT })
  }

  /** Asked at every refresh. */
  #check({ sub }) {
    const { isActive, role } = this.account(sub)
    return isActive ? { claims: { role } } : { refuse: 'the account is not active' }
  }

  async logOut({ sid }) {
    await this.#issuer.logout({ sid })
  }

  /** Resolves when every live instance of every service refuses these tokens. */
  async revoke(match, options = {}) {
    const wait = { for: 'all', timeoutMs: 10_000 }
    const { enforced } = await this.#call('/v1/revocations', { match, wait, ...options })
    if (!enforced.done) throw new Error(`Not enforced: ${JSON.stringify(enforced)}`)
  }

  /** Refuses these tokens until they are released, or until `reviewBy` (NumericDate), when `outcome` follows. */
  async hold(match, { reviewBy, outcome, reason }) {
    await this.revoke(match, { reason, hold: { reviewBy, outcome } })
  }

  /** Resolves when it is committed; services know it some milliseconds later. */
  async release(match) {
    await this.#call('/v1/revocations/release', { match })
  }

  /** Signs with a key of one's own (a private JWK) from now on. */
  async signWith(kid, jwk) {
    await this.#call('/v1/keys', { kid, jwk })
    await this.#call('/v1/keys/rotate', { force: true })
  }

  /** The next key signs from now on, and whatever this one has signed is dead. */
  async revokeKey(kid) {
    await this.#call('/v1/keys/revoke', { kid, reason: 'key-compromise' })
  }

  async #call(path, body) {
    const response = await fetch(KNELL_URL + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${KNELL_API_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`)
    return JSON.parse(text)
  }
}
