import { generateKeyPairSync, randomUUID, type JsonWebKey, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import jwt from 'jsonwebtoken'
import { LOGOUT_EVENT } from '../../shared/tokens/logout-token.ts'
import { now } from './system.ts'

export interface SigningKey {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly jwk: JsonWebKey
}

export function createKey(kid: string, kind: 'ec' | 'rsa' = 'ec'): SigningKey {
  const { publicKey, privateKey } =
    kind === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 })
  const alg = kind === 'ec' ? 'ES256' : 'RS256'
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' } }
}

/** Signs a payload as it is, however strange; `header` besides `alg` and `kid`. */
export function sign(
  payload: object,
  { privateKey, kid }: SigningKey,
  header: object = {},
): string {
  const algorithm = privateKey.asymmetricKeyType === 'rsa' ? 'RS256' : 'ES256'
  // Of an object jsonwebtoken would check and change the claims.
  return jwt.sign(JSON.stringify(payload), privateKey, {
    algorithm,
    header: { alg: algorithm, kid, ...header },
  })
}

/** A small OpenID provider on loopback: publishes its keys, rotates them, issues tokens and sends logout tokens. */
export class Provider {
  /** The answer to whoever asks for the keys, where it is not the set. */
  answer: { status?: number; body?: string; headers?: Record<string, string> } = {}
  /** What is published. */
  published: JsonWebKey[]
  /** What signs. */
  key: SigningKey
  /** How often the keys were asked for. */
  asked = 0
  readonly #server: Server
  #port = 0

  constructor(key: SigningKey = createKey('k1')) {
    this.key = key
    this.published = [key.jwk]
    this.#server = createServer((request, response) => {
      response.setHeader('connection', 'close')
      if (request.url === '/.well-known/openid-configuration') {
        const { issuer, jwksUri } = this
        response.setHeader('content-type', 'application/json')
        response.end(
          JSON.stringify({ issuer, jwks_uri: jwksUri, backchannel_logout_supported: true }),
        )
        return
      }
      this.asked += 1
      const { status = 200, headers = {}, body } = this.answer
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(body ?? JSON.stringify({ keys: this.published }))
    })
  }

  /** Listens, on the same port as before where it was closed. */
  async open(): Promise<this> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
    return this
  }

  /** As a provider that is down. Twice is fine. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  get issuer(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get jwksUri(): string {
    return `${this.issuer}/jwks`
  }

  /** Signs by a new key from now on; the keys before it stay published. */
  rotate(kid: string, kind: 'ec' | 'rsa' = 'ec'): SigningKey {
    this.key = createKey(kid, kind)
    this.published = [...this.published, this.key.jwk]
    return this.key
  }

  /** An access token that lives for 10 minutes. */
  token(sub: string, claims: object = {}, key: SigningKey = this.key): string {
    const iat = now() - 5
    const payload = { iss: this.issuer, sub, jti: randomUUID(), iat, exp: iat + 600, ...claims }
    return sign(payload, key, { typ: 'at+jwt' })
  }

  /** A logout token of OpenID Connect Back-Channel Logout 1.0, section 2.4. */
  logoutToken(claims: object, header: object = {}, key: SigningKey = this.key): string {
    const iat = now()
    const events = { [LOGOUT_EVENT]: {} }
    const more = { jti: randomUUID(), iat, exp: iat + 120, events }
    return sign({ iss: this.issuer, aud: 'shop', ...more, ...claims }, key, {
      typ: 'logout+jwt',
      ...header,
    })
  }
}
