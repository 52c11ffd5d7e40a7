import { createHash, createHmac, hkdfSync } from 'node:crypto'
import { CompactEncrypt, compactDecrypt } from 'jose'
import { isRecord } from '../domain/entry.ts'
import { KnellError } from '../domain/errors.ts'

/** What a sealed key belongs to: it opens for nothing else. */
export interface SealedFor {
  readonly tenant: string
  readonly kid: string
}

/**
 * Encrypts private keys at rest, as encrypted JWKs (RFC 7517, section 7; RFC 7516: `dir` with A256GCM),
 * and makes secrets of its own for other uses. The first key-encryption key seals, all of them open, so
 * that one can be replaced by another.
 */
export interface Sealer {
  seal(jwk: Readonly<Record<string, unknown>>, place: SealedFor): Promise<string>
  /** @throws KnellError `config_invalid` where no key-encryption key at hand opens it, or it was sealed for another place */
  open(sealed: string, place: SealedFor): Promise<Readonly<Record<string, unknown>>>
  /** HMAC-SHA256 of a text under the secret of each key-encryption key, the first one first. */
  macs(text: string): Buffer[]
}

interface Kek {
  readonly id: string
  readonly sealing: Uint8Array
  readonly mac: Uint8Array
}

function derive(key: Buffer, use: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, '', `knell ${use}`, 32))
}

export function createSealer(keys: readonly Buffer[], namespace: string): Sealer {
  const keks: readonly Kek[] = keys.map((key) => ({
    id: createHash('sha256').update('knell key id').update(key).digest('hex').slice(0, 12),
    sealing: derive(key, 'sealing'),
    mac: derive(key, 'refresh tokens'),
  }))
  const [first] = keks
  if (first === undefined) throw new TypeError('A sealer needs a key-encryption key.')
  const placeOf = ({ tenant, kid }: SealedFor): string => `${namespace} ${tenant} ${kid}`
  return {
    seal(jwk, place) {
      const header = { alg: 'dir', enc: 'A256GCM', kid: first.id, cty: 'jwk+json' }
      return new CompactEncrypt(Buffer.from(JSON.stringify(jwk)))
        .setProtectedHeader({ ...header, place: placeOf(place) })
        .encrypt(first.sealing)
    },
    async open(sealed, place) {
      try {
        const { plaintext, protectedHeader } = await compactDecrypt(
          sealed,
          ({ kid }) => {
            const kek = keks.find(({ id }) => id === kid)
            if (kek === undefined) throw new Error('no such key')
            return kek.sealing
          },
          { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] },
        )
        const jwk: unknown = JSON.parse(Buffer.from(plaintext).toString())
        if (protectedHeader['place'] === placeOf(place) && isRecord(jwk)) return jwk
      } catch {
        // What is wrong with it in detail helps nobody but an attacker.
      }
      throw new KnellError(
        'config_invalid',
        `The signing key "${place.kid}" cannot be opened: KEY_ENCRYPTION_KEY must hold the key it was sealed with.`,
      )
    },
    macs: (text) => keks.map(({ mac }) => createHmac('sha256', mac).update(text).digest()),
  }
}
