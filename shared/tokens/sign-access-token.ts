import type { KeyObject } from 'node:crypto'
import jwt from 'jsonwebtoken'
import type { Algorithm } from './algorithms.ts'

/** What an access token says whenever it is issued. */
export interface GrantClaims {
  readonly iss: string
  readonly aud: string | readonly string[]
  readonly sub: string
  readonly client_id: string
  readonly jti: string
  readonly sid?: string
  readonly scope?: string
  readonly [claim: string]: unknown
}

/** The claims of an access token (RFC 9068, section 2.2), with others of the issuer's own. */
export interface AccessClaims extends GrantClaims {
  readonly exp: number
  readonly iat: number
}

/** What signs: `key` is a private key, or a secret for HS256. */
export interface TokenSigner {
  readonly kid: string
  readonly alg: Algorithm
  readonly key: KeyObject
}

/** Claims that an issuer's own may not be called: RFC 9068 and Knell give them their meaning. */
export const RESERVED_CLAIMS: readonly string[] = [
  'iss',
  'exp',
  'nbf',
  'aud',
  'sub',
  'client_id',
  'iat',
  'jti',
  'sid',
  'scope',
  // Of a logout token or a security event, which no verifier takes for an access token.
  'events',
]

/** Signs an access token: header `typ: at+jwt` (RFC 9068, section 2.1), `alg` and `kid`. */
export function signAccessToken(claims: AccessClaims, { kid, alg, key }: TokenSigner): string {
  return jwt.sign({ ...claims }, key, {
    algorithm: alg,
    header: { alg, typ: 'at+jwt', kid },
  })
}
