import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { tokenOf } from '../tokens.ts'

/** A login service: what it signs with, and what it says. */
export interface Mint {
  readonly key: { readonly kid: string; readonly pem: string }
  readonly issuer: string
  readonly audience: string
  /** Token number `index`; equal numbers have equal claims. It was issued `ageSeconds` ago. */
  sign(index: number, ageSeconds?: number): string
}

/** Long enough that no token expires while it is measured. */
const LIFE_SECONDS = 3600

/** ES256, a key per run, and the claims of RFC 9068 with a scope and two roles. */
export function createMint(kid: string = 'bench-1'): Mint {
  const pair = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const key = createPrivateKey(pair.privateKey)
  const [issuer, audience] = ['https://id.bench.example', 'https://api.bench.example']
  const born = Math.floor(Date.now() / 1000)
  return {
    key: { kid, pem: pair.publicKey },
    issuer,
    audience,
    sign(index, ageSeconds = 1) {
      const iat = born - ageSeconds
      const claims = {
        iss: issuer,
        aud: audience,
        iat,
        ...tokenOf(index, iat + LIFE_SECONDS),
        scope: 'openid profile orders:read orders:write',
        roles: ['customer', 'reviewer'],
      }
      const header = { typ: 'at+jwt', alg: 'ES256', kid }
      return jwt.sign(claims, key, { algorithm: 'ES256', header })
    },
  }
}

/** Which session asks, request by request: some ask much, most ask little. The same in every process. */
export function orderOf(requests: number, sessions: number, round: number): Uint32Array {
  let state = 0x9e3779b9 ^ round
  const next = (): number => {
    // Xorshift: all that is wanted is the same order everywhere.
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  return Uint32Array.from({ length: requests }, () => Math.floor(sessions * next() ** 2))
}
