import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { KnellError } from '../domain/errors.ts'
import { isRecord } from '../domain/entry.ts'
import { algorithmsOf, isAlgorithm, mismatch, type Algorithm } from './algorithms.ts'

/** One key: exactly one of `pem`, `jwk` and `secret`. */
export interface KeyEntry {
  /** The name tokens call the key by in their header. Default: the `kid` of `jwk`, else none. */
  readonly kid?: string
  /** The one algorithm the key is used with. Default: the `alg` of `jwk`, else every one it fits. */
  readonly alg?: Algorithm
  /** A public key or an X.509 certificate. Of a private key only the public part is kept. */
  readonly pem?: string
  /** RFC 7517. */
  readonly jwk?: JsonWebKey
  /** An HMAC secret of at least 32 bytes; a text stands for its UTF-8 bytes. */
  readonly secret?: string | Uint8Array
}

/** RFC 7517, section 5. */
export interface JwkSet {
  readonly keys: readonly JsonWebKey[]
}

/** A JWK set (as an object or as JSON text), or a list of keys. */
export type KeyInput = string | JwkSet | readonly KeyEntry[]

export interface VerificationKey {
  readonly kid: string | undefined
  readonly algorithms: readonly Algorithm[]
  readonly key: KeyObject
}

export interface KeySet {
  readonly kids: readonly string[]
  /** Every algorithm some key may be used with. */
  readonly algorithms: readonly Algorithm[]
  /**
   * The one key that may verify a token of this header.
   * @throws KnellError `token_unknown_key`, or `token_alg_refused` where `kid` is a key of another algorithm
   */
  keyFor(alg: Algorithm, kid: unknown): VerificationKey
}

const KID = /^[A-Za-z0-9._-]{1,128}$/

export function isKeySet(input: KeyInput | KeySet): input is KeySet {
  return typeof input === 'object' && 'keyFor' in input
}

/** `ignorable`: inside a JWK set such a key is passed over (RFC 7517, section 5), in a list it is a mistake. */
interface Refusal {
  readonly problem: string
  readonly ignorable: boolean
}

type Members = Readonly<Record<string, unknown>>

function refuse(problem: string, ignorable = false): Refusal {
  return { problem, ignorable }
}

/** Why a JWK is not one that verifies signatures with an algorithm known here, or undefined where it is. */
function foreign(jwk: Members, alg: unknown): string | undefined {
  const { use, kty, key_ops: operations } = jwk
  if (use !== undefined && use !== 'sig') return 'is not for signatures ("use")'
  if (Array.isArray(operations) && !operations.some((op) => op === 'verify' || op === 'sign')) {
    return 'is not for signatures ("key_ops")'
  }
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'oct') {
    return 'has a "kty" other than RSA, EC and oct (EdDSA is not supported)'
  }
  if (alg !== undefined && !isAlgorithm(alg)) {
    return 'has an "alg" other than HS*, RS*, PS* and ES* with 256, 384 or 512'
  }
  return undefined
}

/** Makes the KeyObject, or says why it cannot. OpenSSL's own messages help nobody, so they are not passed on. */
function toKeyObject(entry: Members, jwk: Members | undefined): KeyObject | string {
  const { pem, secret } = entry
  if (jwk?.['kty'] === 'oct') {
    const { k } = jwk
    if (typeof k !== 'string' || !/^[A-Za-z0-9_-]+$/.test(k)) return 'has no base64url text in "k"'
    return createSecretKey(Buffer.from(k, 'base64url'))
  }
  if (typeof secret === 'string' || secret instanceof Uint8Array) {
    const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : Buffer.from(secret)
    // A public key taken for an HMAC secret lets anyone who knows it mint tokens.
    if (bytes.toString('latin1').includes('-----BEGIN')) return 'has a PEM as "secret"; use "pem"'
    return bytes.length > 0 ? createSecretKey(bytes) : 'has an empty secret'
  }
  try {
    if (jwk) return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    return createPublicKey(String(pem))
  } catch {
    return jwk
      ? `is not a readable JWK of type ${String(jwk['kty'])}`
      : 'has a "pem" that is not a readable, unencrypted PEM'
  }
}

function readKey(entry: unknown, inSet: boolean): VerificationKey | Refusal {
  if (!isRecord(entry)) return refuse('must be an object')
  const given = entry['jwk'] ?? (typeof entry['kty'] === 'string' ? entry : undefined)
  if (given !== undefined && !isRecord(given)) return refuse('has a "jwk" that is not an object')
  const sources = [given, entry['pem'], entry['secret']].filter((source) => source !== undefined)
  if (sources.length !== 1) {
    return refuse(inSet ? 'has no "kty"' : 'needs exactly one of "pem", "jwk" and "secret"')
  }
  const jwk: Members = given ?? {}
  for (const name of ['kid', 'alg'] as const) {
    if (entry[name] !== undefined && jwk[name] !== undefined && entry[name] !== jwk[name]) {
      return refuse(`has one "${name}" of its own and another in its "jwk"`)
    }
  }
  const kid = entry['kid'] ?? jwk['kid']
  const alg = entry['alg'] ?? jwk['alg']
  const strange = foreign(given ?? { kty: 'oct' }, alg)
  if (strange) return refuse(strange, inSet || jwk['use'] === 'enc')
  if (kid !== undefined && (typeof kid !== 'string' || !KID.test(kid))) {
    return refuse('has a "kid" that is not 1 to 128 characters of A-Z, a-z, 0-9 and . _ -')
  }
  const key = toKeyObject(entry, given)
  if (typeof key === 'string') return refuse(key)
  const fitting = algorithmsOf(key)
  if (typeof fitting === 'string') return refuse(fitting)
  if (!isAlgorithm(alg)) return { kid, key, algorithms: fitting }
  if (!fitting.includes(alg)) return refuse(mismatch(alg, fitting, key))
  return { kid, key, algorithms: [alg] }
}

/** The entries of any form of input, or a sentence that says why it has none. */
function entriesOf(input: unknown): { entries: readonly unknown[]; inSet: boolean } | string {
  let value = input
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value)
    } catch {
      return 'the keys are not JSON'
    }
  }
  if (Array.isArray(value)) return { entries: value, inSet: false }
  const members = isRecord(value) ? value['keys'] : undefined
  if (Array.isArray(members)) return { entries: members, inSet: true }
  return 'the keys are neither a JWK set ({"keys":[…]}) nor a list of { kid?, alg?, pem | jwk | secret }'
}

function labelOf(entry: unknown, index: number): string {
  const jwk = isRecord(entry) && isRecord(entry['jwk']) ? entry['jwk'] : undefined
  const kid = isRecord(entry) ? (entry['kid'] ?? jwk?.['kid']) : undefined
  return typeof kid === 'string' && KID.test(kid) ? `key "${kid}"` : `key ${index + 1}`
}

function invalid(problems: readonly string[]): KnellError {
  return new KnellError(
    'config_invalid',
    `The verification keys are unusable: ${problems.join('; ')}.`,
    {
      details: { problems },
    },
  )
}

/**
 * Reads and checks verification keys once, at start. Keys with `use: "enc"`, and keys of a JWK set
 * that are of a kind unknown here, are passed over.
 * @param accepted restricts what each key may be used with. Default: no restriction
 * @throws KnellError `config_invalid`; its `details.problems` lists everything wrong with any key
 */
export function createKeySet(input: KeyInput, accepted?: readonly Algorithm[]): KeySet {
  const found = entriesOf(input)
  if (typeof found === 'string') throw invalid([found])
  const problems: string[] = []
  const passedOver: string[] = []
  const keys: VerificationKey[] = []
  const byKid = new Map<string, VerificationKey>()
  for (const [index, entry] of found.entries.entries()) {
    const label = labelOf(entry, index)
    const key = readKey(entry, found.inSet)
    if ('problem' in key) {
      ;(key.ignorable ? passedOver : problems).push(`${label} ${key.problem}`)
      continue
    }
    const usable = key.algorithms.filter((alg) => accepted?.includes(alg) ?? true)
    if (usable.length === 0) {
      passedOver.push(`${label} is for none of the accepted algorithms`)
      continue
    }
    if (key.kid !== undefined && byKid.has(key.kid)) problems.push(`${label} is there twice`)
    const kept: VerificationKey = { ...key, algorithms: usable }
    keys.push(kept)
    if (key.kid !== undefined) byKid.set(key.kid, kept)
  }
  if (keys.length === 0 && problems.length === 0) {
    problems.push(['there is no key to verify with', ...passedOver].join('; '))
  }
  if (problems.length > 0) throw invalid(problems)

  return {
    kids: [...byKid.keys()],
    algorithms: [...new Set(keys.flatMap((key) => key.algorithms))],
    keyFor(alg, kid) {
      if (kid === undefined) {
        const [only, ...others] = keys.filter((key) => key.algorithms.includes(alg))
        if (only && others.length === 0) return only
        throw new KnellError(
          'token_unknown_key',
          'The token names no key ("kid"), and more than one could have signed it.',
        )
      }
      const key = typeof kid === 'string' && KID.test(kid) ? byKid.get(kid) : undefined
      if (!key) {
        throw new KnellError(
          'token_unknown_key',
          'The token was signed with a key ("kid") that is not known here.',
        )
      }
      if (key.algorithms.includes(alg)) return key
      throw new KnellError('token_alg_refused', 'The "alg" of the token is not that of its key.')
    },
  }
}

/**
 * Several sets as one: a key is looked for in the set that has its `kid`, and where a token names none,
 * in all of them: it must be clear which one is meant.
 */
export function joinKeySets(sets: readonly KeySet[]): KeySet {
  const [first, ...others] = sets
  if (first === undefined) throw new TypeError('joinKeySets needs at least one set.')
  if (others.length === 0) return first
  return {
    get kids() {
      return sets.flatMap(({ kids }) => kids)
    },
    get algorithms() {
      return [...new Set(sets.flatMap(({ algorithms }) => algorithms))]
    },
    keyFor(alg, kid) {
      if (kid !== undefined) {
        const named = sets.find(({ kids }) => (kids as readonly unknown[]).includes(kid))
        return (named ?? first).keyFor(alg, kid)
      }
      const fitting = sets.filter(({ algorithms }) => algorithms.includes(alg))
      const [only = first, ...more] = fitting
      if (more.length === 0) return only.keyFor(alg, kid)
      throw new KnellError(
        'token_unknown_key',
        'The token names no key ("kid"), and more than one could have signed it.',
      )
    },
  }
}
