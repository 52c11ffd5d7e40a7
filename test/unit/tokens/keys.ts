import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { expect } from 'chai'
import { KnellError, type ErrorCode } from '../../../shared/domain/errors.ts'

/** Key pairs that several tests share, for making RSA keys takes long. */
export interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export const rsa: Pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const weakRsa: Pair = generateKeyPairSync('rsa', { modulusLength: 1024 })
export const ec256: Pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
export const ec384: Pair = generateKeyPairSync('ec', { namedCurve: 'P-384' })
export const ec512: Pair = generateKeyPairSync('ec', { namedCurve: 'P-521' })
export const ed25519: Pair = generateKeyPairSync('ed25519')

export function jwkOf(key: KeyObject, more: Readonly<Record<string, unknown>> = {}): JsonWebKey {
  return { ...key.export({ format: 'jwk' }), ...more }
}

export function pemOf(key: KeyObject): string {
  return key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' }).toString()
}

/** Runs `run`, expects it to throw a KnellError of this code, and gives it back. */
export function refusal(code: ErrorCode, run: () => unknown): KnellError {
  try {
    run()
  } catch (error) {
    if (!(error instanceof KnellError)) throw error
    expect(error.code, error.message).to.equal(code)
    return error
  }
  throw new Error(`It was accepted; ${code} was expected.`)
}

/** The problems that a piece of configuration is refused for. */
export function problems(run: () => unknown): string[] {
  return refusal('config_invalid', run).details?.['problems'] as string[]
}
