import type { KeyObject } from 'node:crypto'

/** The signature algorithms of RFC 7518, section 3, that jsonwebtoken can verify. `none` and EdDSA are not among them. */
export type Algorithm =
  | 'HS256'
  | 'HS384'
  | 'HS512'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ES256'
  | 'ES384'
  | 'ES512'

const HMAC: readonly Algorithm[] = ['HS256', 'HS384', 'HS512']
const RSA_PKCS1: readonly Algorithm[] = ['RS256', 'RS384', 'RS512']
const RSA_PSS: readonly Algorithm[] = ['PS256', 'PS384', 'PS512']
const ECDSA: readonly Algorithm[] = ['ES256', 'ES384', 'ES512']

const algorithms: readonly Algorithm[] = [...HMAC, ...RSA_PKCS1, ...RSA_PSS, ...ECDSA]

/** Those of public keys: all that anybody may verify with. */
export const asymmetric: readonly Algorithm[] = [...RSA_PKCS1, ...RSA_PSS, ...ECDSA]

export function isAlgorithm(value: unknown): value is Algorithm {
  return typeof value === 'string' && (algorithms as readonly string[]).includes(value)
}

const MIN_RSA_BITS = 2048
const MIN_SECRET_BYTES = 32

/** Node's name of a curve → the one algorithm that uses it (RFC 7518, section 3.4) and the curve's JOSE name. */
const curves: Readonly<Record<string, readonly [Algorithm, string]>> = {
  prime256v1: ['ES256', 'P-256'],
  secp384r1: ['ES384', 'P-384'],
  secp521r1: ['ES512', 'P-521'],
}

function hashBytes(alg: Algorithm): number {
  return Number(alg.slice(2)) / 8
}

/**
 * The algorithms a key may be used with, or a sentence that says why it may be used with none:
 * an RSA key under 2048 bits (RFC 7518, section 3.3) or a secret under 32 bytes. A secret is used
 * only with hashes no longer than itself (RFC 7518, section 3.2).
 */
export function algorithmsOf(key: KeyObject): readonly Algorithm[] | string {
  if (key.type === 'secret') {
    const bytes = key.symmetricKeySize ?? 0
    if (bytes < MIN_SECRET_BYTES) {
      return `has a secret of ${bytes} bytes; at least ${MIN_SECRET_BYTES} are needed (RFC 7518, section 3.2)`
    }
    return HMAC.filter((alg) => bytes >= hashBytes(alg))
  }
  const details = key.asymmetricKeyDetails ?? {}
  const type = key.asymmetricKeyType
  if (type === 'rsa' || type === 'rsa-pss') {
    const bits = details.modulusLength ?? 0
    if (bits < MIN_RSA_BITS) {
      return `is an RSA key of ${bits} bits; at least ${MIN_RSA_BITS} are needed (RFC 7518, section 3.3)`
    }
    if (type === 'rsa') return [...RSA_PKCS1, ...RSA_PSS]
    // jsonwebtoken verifies with an RSA-PSS key only where the key itself fixes the hash.
    const bound = RSA_PSS.filter(
      (alg) =>
        details.hashAlgorithm === `sha${alg.slice(2)}` &&
        details.mgf1HashAlgorithm === details.hashAlgorithm,
    )
    return bound.length > 0
      ? bound
      : 'is an RSA-PSS key that names no SHA-2 hash; use a plain RSA key'
  }
  if (type === 'ec') {
    const curve = curves[details.namedCurve ?? '']
    if (curve) return [curve[0]]
    return `is on the curve ${details.namedCurve ?? '?'}; P-256, P-384 or P-521 is needed`
  }
  return `is of type ${type ?? '?'}; RSA, EC (P-256, P-384, P-521) or a secret is needed`
}

/** Says why `alg` cannot be used with a key that fits only `fitting`. */
export function mismatch(alg: Algorithm, fitting: readonly Algorithm[], key: KeyObject): string {
  if (key.type === 'secret' && HMAC.includes(alg)) {
    return `has a secret of ${key.symmetricKeySize} bytes; ${alg} needs at least ${hashBytes(alg)} (RFC 7518, section 3.2)`
  }
  const curve = curves[key.asymmetricKeyDetails?.namedCurve ?? '']
  if (curve && ECDSA.includes(alg)) {
    return `is on the curve ${curve[1]}, which ${alg} does not use; ${curve[0]} does`
  }
  return `is for ${fitting.join(', ')}, not for ${alg}`
}
