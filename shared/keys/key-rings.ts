import type { KeyObject } from 'node:crypto'
import { KnellError } from '../domain/errors.ts'
import {
  keyIn,
  keyNamed,
  planAddition,
  planRetirement,
  planRevocation,
  planRotation,
  planStart,
  revocable,
  rotationProblem,
  verifies,
  type RingAlgorithm,
  type RingKey,
  type SigningRing,
} from '../domain/key-ring.ts'
import type { RingStore } from '../store/ring-store.ts'
import { createKeySet, type KeyEntry, type KeySet } from '../tokens/key-set.ts'
import { createRingKey, parsePrivateJwk, signingKeyOf, toRingKey } from './fresh-key.ts'
import type { Sealer } from './sealer.ts'

/** What signs a token. */
export interface SigningKey {
  readonly kid: string
  readonly alg: RingAlgorithm
  readonly key: KeyObject
}

/** Keys of a tenant for verifying, from wherever. */
export interface KeySource {
  /** Undefined where there is no key. `fresh`: as it is now, for a token whose key is not known. */
  keySet(tenant: string, fresh: boolean): Promise<KeySet | undefined>
  /** Whether a key may be there that `keySet` does not find just now. Absent: never. */
  mayLack?(tenant: string): boolean
}

export interface RingOptions {
  readonly store: RingStore
  readonly sealer: Sealer
  /** Of keys that are made here. */
  readonly alg: RingAlgorithm
  /** How long (seconds) a token of the tenant can live, whoever signed it. */
  readonly longestLife: (tenant: string) => Promise<number>
}

/** How the next key is let sign. */
export interface Rotation {
  /** The text under which it is audited. */
  readonly act?: string | undefined
  /** The `kid` of the key in whose place it is to sign. */
  readonly instead?: string
  readonly force?: boolean | undefined
}

/** How old what is known of a ring may be, for verifying. Signing asks each time. */
const MAX_AGE_MS = 1000

/** The signing keys of every tenant: read from the store, opened here, replaced by plans. */
export class KeyRings implements KeySource {
  readonly #options: RingOptions
  /** Opened keys by their sealed text. */
  readonly #opened = new Map<string, Promise<KeyObject>>()
  readonly #sets = new Map<string, { readonly text: string; readonly set: KeySet | undefined }>()

  constructor(options: RingOptions) {
    this.#options = options
  }

  /** The key that signs now; a tenant without any gets one. @throws KnellError `store_*`, `config_invalid` */
  async signing(tenant: string): Promise<SigningKey> {
    const { ring } = await this.#options.store.read(tenant)
    const active = keyIn(ring, 'active') ?? keyIn(await this.start(tenant), 'active')
    if (active === undefined) throw new KnellError('internal', 'No key signs.')
    return { kid: active.kid, alg: active.alg, key: await this.#open(tenant, active) }
  }

  /** Sees to it that a tenant's ring can sign, and has its next key. */
  async start(tenant: string): Promise<SigningRing> {
    const { ring } = await this.#options.store.read(tenant)
    if (keyIn(ring, 'active') !== undefined && keyIn(ring, 'next') !== undefined) return ring
    const plan = async (now: SigningRing, at: number): Promise<SigningRing> =>
      planStart(now, at, await this.#fresh(tenant, now, at))
    return (await this.#options.store.change(tenant, { plan })).ring
  }

  async keySet(tenant: string, fresh: boolean): Promise<KeySet | undefined> {
    const { ring, text } = await this.#options.store.read(tenant, fresh ? 0 : MAX_AGE_MS)
    const known = this.#sets.get(tenant)
    if (known?.text === text) return known.set
    const entries = await Promise.all(
      ring.keys.filter(verifies).map((key) => this.#entryOf(tenant, key)),
    )
    const set = entries.length === 0 ? undefined : createKeySet(entries)
    this.#sets.set(tenant, { text, set })
    return set
  }

  /** The ring as it is. */
  async read(tenant: string): Promise<SigningRing> {
    return (await this.#options.store.read(tenant)).ring
  }

  /**
   * Lets the next key sign from now on; with `instead`, only where that key signs still. Undefined: it
   * does not. `force`: also where the next key is so new that verifiers may not know it.
   * @throws KnellError `key_too_new`, `too_many_keys`, `config_invalid`, `store_*`
   */
  async rotate(
    tenant: string,
    { act, instead, force = false }: Rotation = {},
  ): Promise<SigningRing | undefined> {
    const keep = await this.#options.longestLife(tenant)
    const plan = async (ring: SigningRing, at: number): Promise<SigningRing> => {
      if (instead !== undefined && keyIn(ring, 'active')?.kid !== instead) return ring
      const problem = rotationProblem(ring, at)
      if (problem !== undefined && !(force && problem.code === 'key_too_new')) {
        throw notYet(problem)
      }
      const fresh = await this.#fresh(tenant, ring, at)
      return planRotation(await this.#withoutForeign(tenant, ring), at, keep, fresh)
    }
    const { ring, changed } = await this.#options.store.change(tenant, { plan, act })
    return changed ? ring : undefined
  }

  /** Ends a key, so that nothing is signed with it any more; the rule that kills what it has signed is the caller's. `changed` false: it was so already. */
  async revoke(
    tenant: string,
    kid: string,
    act?: string,
  ): Promise<{ ring: SigningRing; changed: boolean }> {
    const plan = async (ring: SigningRing, at: number): Promise<SigningRing> => {
      // Whoever was about to sign with it calls as well: only the first need make new keys.
      if (revocable(ring, kid) === undefined) return ring
      return planRevocation(ring, kid, at, await this.#fresh(tenant, ring, at))
    }
    return this.#options.store.change(tenant, { plan, act })
  }

  /** Takes a private key or secret made elsewhere as the next one. @throws KnellError `invalid_request` where it is unusable, or the ring has had a key of this name */
  async add(
    tenant: string,
    jwk: Readonly<Record<string, unknown>>,
    kid: string,
    act?: string,
  ): Promise<SigningRing> {
    const alg = parsePrivateJwk(jwk)
    const plan = async (ring: SigningRing, at: number): Promise<SigningRing> => {
      if (keyNamed(ring, kid) !== undefined) {
        throw new KnellError('invalid_request', 'The ring has, or has had, a key of this kid.')
      }
      await this.#assertOpens(tenant, ring)
      return planAddition(ring, await toRingKey(jwk, alg, kid, tenant, this.#options.sealer, at))
    }
    return (await this.#options.store.change(tenant, { plan, act })).ring
  }

  /** Retires what has signed nothing that is alive. */
  async retire(tenant: string): Promise<SigningRing> {
    return (await this.#options.store.change(tenant, { plan: planRetirement })).ring
  }

  /**
   * That the key which signs can be opened here: where it cannot, this process has another
   * key-encryption key than the rest, and whatever it sealed would be of no use to them.
   * @throws KnellError `config_invalid`, `store_*`
   */
  async assertOpens(tenant: string): Promise<void> {
    const { ring } = await this.#options.store.read(tenant, MAX_AGE_MS)
    await this.#assertOpens(tenant, ring)
  }

  async #assertOpens(tenant: string, ring: SigningRing): Promise<void> {
    const active = keyIn(ring, 'active')
    if (active !== undefined) await this.#open(tenant, active)
  }

  /** A ring without a next key that nobody here could sign with. */
  async #withoutForeign(tenant: string, ring: SigningRing): Promise<SigningRing> {
    const next = keyIn(ring, 'next')
    if (next === undefined) return ring
    try {
      await this.#open(tenant, next)
      return ring
    } catch {
      return { ...ring, keys: ring.keys.filter((key) => key !== next) }
    }
  }

  async #fresh(tenant: string, ring: SigningRing, at: number): Promise<RingKey[]> {
    const { alg, sealer } = this.#options
    await this.#assertOpens(tenant, ring)
    return Promise.all([
      createRingKey(alg, tenant, sealer, at),
      createRingKey(alg, tenant, sealer, at),
    ])
  }

  async #entryOf(tenant: string, key: RingKey): Promise<KeyEntry> {
    const { kid, alg, jwk } = key
    if (jwk !== undefined) return { kid, alg, jwk }
    const secret = await this.#open(tenant, key)
    return { kid, alg, secret: new Uint8Array(secret.export()) }
  }

  async #open(tenant: string, { kid, sealed = '' }: RingKey): Promise<KeyObject> {
    const known = this.#opened.get(sealed)
    if (known !== undefined) return known
    const opened = this.#options.sealer.open(sealed, { tenant, kid }).then(signingKeyOf)
    this.#opened.set(sealed, opened)
    opened.catch(() => this.#opened.delete(sealed))
    return opened
  }
}

function notYet({
  code,
  waitSeconds,
}: NonNullable<ReturnType<typeof rotationProblem>>): KnellError {
  const text =
    code === 'key_too_new'
      ? 'The next key was published a moment ago, so verifiers may not know it; wait, or send force. To end a stolen key revoke it, which waits for nothing.'
      : 'So many keys still verify that verifiers would not take one more; wait until some have retired, or rotate less often.'
  return new KnellError(code, text, { retryAfterSeconds: waitSeconds })
}
