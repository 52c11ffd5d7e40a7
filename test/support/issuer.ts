import { generateKeyPairSync, randomUUID } from 'node:crypto'
import jwt from 'jsonwebtoken'
import type { VerifyOptions } from '../../shared/subscriber/index.ts'
import { now } from './system.ts'

/** Signs tokens as an issuer would, and says how they are verified. */
export interface Issuer {
  readonly verify: VerifyOptions
  /** A token of this subject that lives for 10 minutes, unless told otherwise. */
  token(sub: string, claims?: object): string
}

export function createIssuer(issuer: string = 'https://issuer.example'): Issuer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256' }
  return {
    verify: { keys: { keys: [jwk] }, issuer },
    token(sub, claims = {}) {
      const iat = now() - 5
      const payload = { iss: issuer, sub, jti: randomUUID(), iat, exp: iat + 600, ...claims }
      return jwt.sign(payload, privateKey, { algorithm: 'ES256', keyid: 'k' })
    },
  }
}
