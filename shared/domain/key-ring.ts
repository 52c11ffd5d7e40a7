import { LEEWAY_SECONDS } from './max-token-ttl.ts'

/** What a tenant's own tokens are signed with. */
export const ringAlgorithms = ['ES256', 'RS256', 'HS256'] as const

export type RingAlgorithm = (typeof ringAlgorithms)[number]

/**
 * `next`: published, so that verifiers know it before it signs. `active`: signs. `retiring`: signs no
 * more, and verifies what it has signed. `retired`: nothing it has signed is alive. `revoked`: whatever
 * it has signed is dead.
 */
export type KeyState = 'next' | 'active' | 'retiring' | 'retired' | 'revoked'

/** One key of a ring. Times are NumericDates of the store. */
export interface RingKey {
  readonly kid: string
  readonly alg: RingAlgorithm
  readonly state: KeyState
  readonly createdAt: number
  readonly activeAt?: number
  /** When it stopped signing. */
  readonly endedAt?: number
  /** When nothing it has signed can be alive any more. */
  readonly retiresAt?: number
  /** The public key (RFC 7517); an HMAC secret has none. */
  readonly jwk?: Readonly<Record<string, unknown>>
  /** The private key or secret, encrypted (RFC 7516). Gone as soon as it is of no more use. */
  readonly sealed?: string
}

/** The keys of one tenant, oldest first: at most one is `active`, at most one `next`. */
export interface SigningRing {
  readonly v: 1
  readonly keys: readonly RingKey[]
}

export const EMPTY_RING: SigningRing = { v: 1, keys: [] }

/** Ended keys are kept for whoever looks; the oldest go. */
const MAX_ENDED = 20

export function keyIn(ring: SigningRing, state: KeyState): RingKey | undefined {
  return ring.keys.find((key) => key.state === state)
}

export function keyNamed(ring: SigningRing, kid: string): RingKey | undefined {
  return ring.keys.find((key) => key.kid === kid)
}

/** Whether tokens of this key are verified. */
export function verifies({ state }: RingKey): boolean {
  return state === 'next' || state === 'active' || state === 'retiring'
}

/** For so long a key is published before it signs, so that verifiers that keep what they fetched know it. */
export const PUBLISHED_SECONDS = 300
/** More keys that verify than verifiers take from one set would lock out whoever has a token of the newest. */
const MAX_VERIFYING = 50

/** Why the next key should not sign yet: it is known to nobody so far, or too many keys verify already. `waitSeconds`: when it may. */
export function rotationProblem(
  ring: SigningRing,
  now: number,
): { readonly code: 'key_too_new' | 'too_many_keys'; readonly waitSeconds: number } | undefined {
  const verifying = ring.keys.filter(verifies)
  if (verifying.length >= MAX_VERIFYING) {
    const first = Math.min(...verifying.map(({ retiresAt = Infinity }) => retiresAt))
    return { code: 'too_many_keys', waitSeconds: Math.max(1, first - now) }
  }
  const waitSeconds = (keyIn(ring, 'next')?.createdAt ?? -Infinity) + PUBLISHED_SECONDS - now
  return waitSeconds > 0 ? { code: 'key_too_new', waitSeconds } : undefined
}

function withoutSecret(key: RingKey): RingKey {
  const { sealed, ...rest } = key
  return sealed === undefined ? key : rest
}

function bounded(keys: readonly RingKey[]): SigningRing {
  const ended = keys.filter(({ state }) => state === 'retired' || state === 'revoked')
  const surplus = new Set(ended.slice(0, Math.max(0, ended.length - MAX_ENDED)))
  return { v: 1, keys: keys.filter((key) => !surplus.has(key)) }
}

/** What a key becomes that stops signing. A secret is still needed to verify; a private key is not. */
function retiring(key: RingKey, now: number, keepSeconds: number): RingKey {
  const ended = {
    ...key,
    state: 'retiring',
    endedAt: now,
    retiresAt: now + keepSeconds + LEEWAY_SECONDS,
  } as const
  return key.alg === 'HS256' ? ended : withoutSecret(ended)
}

/** Makes the key that is up sign: the `next` one, else the first of the fresh ones; another fresh one becomes `next`. */
function promoted(keys: readonly RingKey[], now: number, fresh: readonly RingKey[]): RingKey[] {
  const waiting = keys.find(({ state }) => state === 'next')
  const [heir = waiting, ...others] = waiting === undefined ? fresh : [waiting, ...fresh]
  if (heir === undefined) throw new TypeError('A ring without a next key needs a fresh one.')
  const [next] = others
  return [
    ...keys.filter((key) => key !== heir),
    { ...heir, state: 'active', activeAt: now },
    ...(next === undefined ? [] : [{ ...next, state: 'next' } as const]),
  ]
}

/** A ring that can sign, with a `next` key. Answers the same ring where it is one already. `fresh`: two new keys. */
export function planStart(ring: SigningRing, now: number, fresh: readonly RingKey[]): SigningRing {
  if (keyIn(ring, 'active') === undefined) return bounded(promoted(ring.keys, now, fresh))
  const [next] = fresh
  if (keyIn(ring, 'next') !== undefined || next === undefined) return ring
  return bounded([...ring.keys, { ...next, state: 'next' }])
}

/** The `next` key signs from now on, and the one that did so verifies for `keepSeconds` and the leeway. `fresh`: two new keys. */
export function planRotation(
  ring: SigningRing,
  now: number,
  keepSeconds: number,
  fresh: readonly RingKey[],
): SigningRing {
  const keys = ring.keys.map((key) =>
    key.state === 'active' ? retiring(key, now, keepSeconds) : key,
  )
  return bounded(promoted(keys, now, fresh))
}

/** The key of this name, where there is one that is not revoked yet. */
export function revocable(ring: SigningRing, kid: string): RingKey | undefined {
  return ring.keys.find((key) => key.kid === kid && key.state !== 'revoked')
}

/**
 * The key is dead, and whatever it has signed; another one signs. Answers the same ring where it is
 * so already, or where the key is not known. `fresh`: two new keys.
 */
export function planRevocation(
  ring: SigningRing,
  kid: string,
  now: number,
  fresh: readonly RingKey[],
): SigningRing {
  const found = revocable(ring, kid)
  if (found === undefined) return ring
  const dead = withoutSecret({ ...found, state: 'revoked', endedAt: found.endedAt ?? now })
  const keys = ring.keys.map((key) => (key === found ? dead : key))
  return planStart({ v: 1, keys }, now, fresh)
}

/** A key made elsewhere becomes `next`; one that was `next` has signed nothing and goes. */
export function planAddition(ring: SigningRing, added: RingKey): SigningRing {
  const keys = ring.keys.filter(({ state }) => state !== 'next')
  return bounded([...keys, { ...added, state: 'next' }])
}

/** What has signed nothing that is alive is retired. Answers the same ring where nothing is due. */
export function planRetirement(ring: SigningRing, now: number): SigningRing {
  const isDue = ({ state, retiresAt = Infinity }: RingKey): boolean =>
    state === 'retiring' && retiresAt <= now
  if (!ring.keys.some(isDue)) return ring
  return bounded(
    ring.keys.map((key) => (isDue(key) ? withoutSecret({ ...key, state: 'retired' }) : key)),
  )
}
