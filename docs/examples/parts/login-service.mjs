import jwt from 'jsonwebtoken'
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

const { KNELL_URL = 'http://127.0.0.1:7070', KNELL_API_KEY = '' } = process.env

const ISSUER = 'https://login.example'
const AUDIENCE = 'shop'
const LIFE_SECONDS = 5 * 60

/** Signs tokens, registers them with Knell, and tells Knell what dies. */
export class LoginService {
  // The next key is published before it signs anything, so that every service knows it by then.
  #keys = [newKey(), newKey()]
  #latestCutOff = 0

  /** What a service verifies tokens by: the option `verify` of `connect`. */
  get verify() {
    const keys = this.#keys.map(({ kid, publicKey }) => ({
      ...publicKey.export({ format: 'jwk' }),
      kid,
      alg: 'ES256',
    }))
    return { keys: { keys }, issuer: ISSUER, audience: AUDIENCE }
  }

  /** The key that signs now. */
  get key() {
    return this.#keys[0]
  }

  /** Signs with the next key from now on. */
  rotate() {
    this.#keys.shift()
    this.#keys.push(newKey())
  }

  /** A new session: `{ token, sid }`. */
  async logIn(user, { roles = ['customer'], client = 'web' } = {}) {
    return this.#issue({ sub: user, sid: randomUUID(), client_id: client, roles })
  }

  /** A new token of a session that goes on, as a refresh gives it. */
  async refresh({ sub, sid, client_id }, { roles = ['customer'] } = {}) {
    return this.#issue({ sub, sid, client_id, roles })
  }

  async #issue(claims) {
    const iat = await this.#nextIat()
    const all = {
      iss: ISSUER,
      aud: AUDIENCE,
      jti: randomUUID(),
      iat,
      exp: iat + LIFE_SECONDS,
      ...claims,
    }
    const token = sign(all, this.key)
    await this.#call('/v1/tokens', { claims: all })
    return { token, ...claims }
  }

  /** `iat` counts whole seconds and a cut-off covers its own, so a token that is to outlive it comes a second later. */
  async #nextIat() {
    while (Date.now() / 1000 < this.#latestCutOff + 1) await delay(50)
    return Math.floor(Date.now() / 1000)
  }

  /** Resolves when every live instance of every service refuses these tokens. */
  async revoke(match, options = {}) {
    const wait = { for: 'all', timeoutMs: 10_000 }
    const answer = await this.#call('/v1/revocations', { match, wait, ...options })
    if (!('sid' in match))
      this.#latestCutOff = Math.max(this.#latestCutOff, answer.issuedBefore ?? 0)
    if (!answer.enforced.done) throw new Error(`Not enforced: ${JSON.stringify(answer.enforced)}`)
    return answer
  }

  /** Refuses these tokens until they are released, or until `reviewBy` (NumericDate), when `outcome` follows. */
  async hold(match, { reviewBy, outcome, reason }) {
    return this.revoke(match, { reason, hold: { reviewBy, outcome } })
  }

  /** Resolves when it is committed; services know it some milliseconds later. */
  async release(match) {
    return this.#call('/v1/revocations/release', { match })
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

/** What anybody can do who has the key. */
export function sign(claims, { kid, privateKey }) {
  return jwt.sign(claims, privateKey, { algorithm: 'ES256', header: { kid, typ: 'at+jwt' } })
}

function newKey() {
  const kid = `key-${randomBytes(4).toString('hex')}`
  return { kid, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) }
}
