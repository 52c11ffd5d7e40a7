import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { KnellError } from '../domain/errors.ts'
import { algorithmsOf } from '../tokens/algorithms.ts'
import type { TokenSigner } from '../tokens/sign-access-token.ts'
import type { SigningKeyInput } from './options.ts'

const KID = /^[A-Za-z0-9._-]{1,128}$/

/** Reads a private key once. Messages quote nothing of it. @throws KnellError `config_invalid` */
export function readOwnKey({ kid, alg, jwk, pem }: SigningKeyInput): TokenSigner {
  const name = kid ?? jwk?.['kid']
  if (typeof name !== 'string' || !KID.test(name)) {
    throw invalid('needs a kid of 1 to 128 of A-Z, a-z, 0-9 and . _ -')
  }
  if ((jwk === undefined) === (pem === undefined)) throw invalid('needs either jwk or pem')
  const key = privateKeyOf(jwk, pem)
  const fitting = algorithmsOf(key)
  if (typeof fitting === 'string') throw invalid(fitting)
  const wanted = alg ?? jwk?.['alg'] ?? fitting[0]
  const found = fitting.find((one) => one === wanted)
  if (found === undefined)
    throw invalid(`does not fit its alg; it is good for ${fitting.join(', ')}`)
  return { kid: name, alg: found, key }
}

function privateKeyOf(jwk: SigningKeyInput['jwk'], pem: string | undefined): KeyObject {
  try {
    return pem === undefined
      ? createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' })
      : createPrivateKey(pem)
  } catch {
    // Its own message may quote the key.
    throw invalid('is no private key')
  }
}

function invalid(why: string): KnellError {
  return new KnellError('config_invalid', `The key ${why}.`)
}
