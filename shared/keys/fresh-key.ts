import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPair,
  randomBytes,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto'
import { promisify } from 'node:util'
import { KnellError } from '../domain/errors.ts'
import type { RingAlgorithm, RingKey } from '../domain/key-ring.ts'
import { algorithmsOf, mismatch } from '../tokens/algorithms.ts'
import type { Sealer } from './sealer.ts'

const generate = promisify(generateKeyPair)
const RSA_BITS = 2048
const SECRET_BYTES = 32

type Jwk = Readonly<Record<string, unknown>>

/** The private key, or the secret, of a sealed JWK. */
export function signingKeyOf(jwk: Jwk): KeyObject {
  if (jwk['kty'] === 'oct') return createSecretKey(Buffer.from(String(jwk['k']), 'base64url'))
  return createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' })
}

async function secretJwk(alg: RingAlgorithm): Promise<Jwk> {
  if (alg === 'HS256') return { kty: 'oct', k: randomBytes(SECRET_BYTES).toString('base64url') }
  const { privateKey } =
    alg === 'ES256'
      ? await generate('ec', { namedCurve: 'P-256' })
      : await generate('rsa', { modulusLength: RSA_BITS })
  return { ...privateKey.export({ format: 'jwk' }) }
}

/** The part of a key that anyone may know; an HMAC secret has none. */
function publicJwk(jwk: Jwk, kid: string, alg: RingAlgorithm): Jwk | undefined {
  if (jwk['kty'] === 'oct') return undefined
  const { kty, crv, x, y, n, e } = createPublicKey({
    key: jwk as JsonWebKey,
    format: 'jwk',
  }).export({ format: 'jwk' })
  const shape = kty === 'EC' ? { kty, crv, x, y } : { kty, n, e }
  return { ...shape, kid, alg, use: 'sig' }
}

/** A JWK with its private part or secret as a key of a tenant's ring. `now`: NumericDate. */
export async function toRingKey(
  jwk: Jwk,
  alg: RingAlgorithm,
  kid: string,
  tenant: string,
  sealer: Sealer,
  now: number,
): Promise<RingKey> {
  const shown = publicJwk(jwk, kid, alg)
  const sealed = await sealer.seal(jwk, { tenant, kid })
  return { kid, alg, state: 'next', createdAt: now, ...(shown && { jwk: shown }), sealed }
}

function refuse(why: string): KnellError {
  return new KnellError('invalid_request', `The key ${why}. Send a private JWK (RFC 7517).`)
}

/**
 * A private key or secret made elsewhere, as what it signs with: RSA of at least 2048 bits (RS256), EC on
 * P-256 (ES256) or a secret of at least 32 bytes (HS256).
 * @throws KnellError `invalid_request`, quoting nothing
 */
export function parsePrivateJwk(jwk: Jwk): RingAlgorithm {
  const alg = { EC: 'ES256', RSA: 'RS256', oct: 'HS256' }[String(jwk['kty'])] as
    RingAlgorithm | undefined
  if (alg === undefined) throw refuse('has a "kty" other than EC, RSA and oct')
  if (jwk['alg'] !== undefined && jwk['alg'] !== alg) throw refuse(`has an "alg" other than ${alg}`)
  const isSecret = alg === 'HS256'
  if (typeof jwk[isSecret ? 'k' : 'd'] !== 'string') throw refuse('has no private part')
  let key: KeyObject
  try {
    key = signingKeyOf(jwk)
  } catch {
    throw refuse('is not readable')
  }
  const fitting = algorithmsOf(key)
  if (typeof fitting === 'string') throw refuse(fitting)
  if (!fitting.includes(alg)) throw refuse(mismatch(alg, fitting, key))
  return alg
}

/** A new key of a tenant. `now`: NumericDate. */
export async function createRingKey(
  alg: RingAlgorithm,
  tenant: string,
  sealer: Sealer,
  now: number,
): Promise<RingKey> {
  const kid = `${alg.toLowerCase()}-${randomBytes(9).toString('base64url')}`
  return toRingKey(await secretJwk(alg), alg, kid, tenant, sealer, now)
}
