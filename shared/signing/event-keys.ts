import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { KnellError } from '../domain/errors.ts'
import { isRecord } from '../domain/entry.ts'
import { KID } from './detached-jws.ts'

/** The one algorithm: with a shared secret every service that verifies could forge as well. */
export const EVENT_ALG = 'ES256'

/** RFC 7517, section 5: EC keys on P-256, each with a `kid`. */
export interface EventJwkSet {
  readonly keys: readonly JsonWebKey[]
}

/** A public key to pin: a PEM has no name of its own. */
export interface EventPem {
  readonly kid: string
  readonly pem: string
}

/** A JWK set (as an object or as JSON text), or a list of PEMs with their `kid`. */
export type EventKeyInput = string | EventJwkSet | readonly EventPem[]

export interface EventKey {
  readonly kid: string
  readonly key: KeyObject
}

type Part = 'private' | 'public'
type Members = Readonly<Record<string, unknown>>

function entriesOf(input: unknown): readonly unknown[] | undefined {
  let value = input
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value)
    } catch {
      return undefined
    }
  }
  if (Array.isArray(value)) return value
  const keys = isRecord(value) ? value['keys'] : undefined
  return Array.isArray(keys) ? keys : undefined
}

/** OpenSSL's own messages help nobody, so they are not passed on. */
function toKeyObject(entry: Members, part: Part): KeyObject | string {
  const { pem, kty, crv, d } = entry
  const create = part === 'private' ? createPrivateKey : createPublicKey
  try {
    if (typeof pem === 'string') {
      if (part === 'public' && pem.includes('PRIVATE KEY')) return PRIVATE
      return create(pem)
    }
    if (kty !== 'EC' || crv !== 'P-256') return NOT_ES256
    if (part === 'private' && d === undefined)
      return 'is a public key; signing needs the private one'
    if (part === 'public' && d !== undefined) return PRIVATE
    return create({ key: entry as JsonWebKey, format: 'jwk' })
  } catch {
    return 'is not readable'
  }
}

const NOT_ES256 = 'is not an EC key on P-256: events are signed with ES256 only'
const PRIVATE = 'is a private key; a subscriber pins the public one'

function readKey(entry: unknown, part: Part): EventKey | string {
  if (!isRecord(entry)) return 'is not an object'
  const { kid, alg, use } = entry
  if (typeof kid !== 'string' || !KID.test(kid)) {
    return 'needs a "kid" of 1 to 128 characters of A-Z, a-z, 0-9 and . _ -'
  }
  if (alg !== undefined && alg !== EVENT_ALG) return NOT_ES256
  if (use !== undefined && use !== 'sig') return 'is not for signatures ("use")'
  const key = toKeyObject(entry, part)
  if (typeof key === 'string') return key
  return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? { kid, key } : NOT_ES256
}

function read(input: unknown, part: Part): readonly EventKey[] {
  const entries = entriesOf(input)
  const problems: string[] = []
  const keys = new Map<string, EventKey>()
  for (const [index, entry] of (entries ?? []).entries()) {
    const key = readKey(entry, part)
    if (typeof key === 'string') problems.push(`key ${index + 1} ${key}`)
    else if (keys.has(key.kid)) problems.push(`the kid "${key.kid}" is there twice`)
    else keys.set(key.kid, key)
  }
  if (entries === undefined) problems.push('expected a JWK set ({"keys":[…]})')
  else if (entries.length === 0) problems.push('there is no key')
  if (problems.length === 0) return [...keys.values()]
  const heading = part === 'private' ? 'The event signing keys' : 'The event keys'
  throw new KnellError('config_invalid', `${heading} are unusable: ${problems.join('; ')}.`, {
    details: { problems },
  })
}

/** Reads the private keys of a process; the first signs. @throws KnellError `config_invalid` that lists everything wrong */
export function readSigningKeys(input: unknown): readonly EventKey[] {
  return read(input, 'private')
}

/** Reads the public keys that a subscriber pins. @throws KnellError `config_invalid` that lists everything wrong */
export function readPinnedKeys(input: unknown): readonly EventKey[] {
  return read(input, 'public')
}

export function publicOf({ key }: EventKey): KeyObject {
  return key.type === 'private' ? createPublicKey(key) : key
}

/** The set that subscribers pin: public members only. */
export function publicJwks(keys: readonly EventKey[]): EventJwkSet {
  return {
    keys: keys.map((one) => {
      const { kty, crv, x, y } = publicOf(one).export({ format: 'jwk' })
      return { kid: one.kid, alg: EVENT_ALG, use: 'sig', kty, crv, x, y } as JsonWebKey
    }),
  }
}
