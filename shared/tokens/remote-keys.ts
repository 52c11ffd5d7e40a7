import { KnellError, toKnellError } from '../domain/errors.ts'
import { asymmetric, type Algorithm } from './algorithms.ts'
import { createJwksFetch } from './fetch-jwks.ts'
import { parseJwksUri } from './jwks-uri.ts'
import type { KeySet, VerificationKey } from './key-set.ts'
import { readPublicKeys } from './public-keys.ts'

export interface RemoteKeysOptions {
  /** `https://`, or `http://` of this machine. Nothing is ever fetched from where a token points to. */
  readonly url: string
  /** Restricts the algorithms. Default: all of RS*, PS* and ES*; HS* never. */
  readonly algorithms?: readonly Algorithm[] | undefined
  /** ms after which the keys are fetched again; sooner where the provider's `Cache-Control` says so. Default: 10 minutes. */
  readonly maxAgeMs?: number | undefined
  /** ms between two fetches for the sake of unknown keys, after the first few. Default: 10 s. */
  readonly coolDownMs?: number | undefined
  /** ms a fetch may take. Default: 5 s. */
  readonly timeoutMs?: number | undefined
  /** Whether every token of this key is dead: then it is as if it were not in the set, for as long as this says so. */
  readonly isRevoked?: (kid: string) => boolean
  /** Hears of failed fetches and of keys that are passed over, each once until it changes. */
  readonly onProblem?: (error: KnellError) => void
}

/** A provider that asks for no caching at all is asked no more often. */
const MIN_AGE_MS = 30_000
const FIRST_RETRY_MS = 1000
/** So many fetches for the sake of unknown keys may follow each other: a rotation may come right after a start. */
const BURST = 3

/**
 * The keys that an identity provider publishes: fetched in the background, again before they are too
 * old, and when a token names a key that is not among them. While the provider does not answer, or
 * answers with no usable key, the last good set stays.
 */
export class RemoteKeys implements KeySet {
  readonly algorithms: readonly Algorithm[]
  readonly #fetch: ReturnType<typeof createJwksFetch>
  readonly #maxAgeMs: number
  readonly #coolDownMs: number
  readonly #isRevoked: (kid: string) => boolean
  readonly #onProblem: (error: KnellError) => void
  #keys: KeySet | undefined
  #loading: Promise<boolean> | undefined
  #allowance = BURST
  #allowedAt = 0
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #told = ''
  #stopped = false

  /** @throws KnellError `config_invalid` for a URL that is not safe, or where no algorithm is left */
  constructor(options: RemoteKeysOptions) {
    const { algorithms = asymmetric, maxAgeMs = 600_000, coolDownMs = 10_000 } = options
    this.algorithms = asymmetric.filter((alg) => algorithms.includes(alg))
    if (this.algorithms.length === 0) {
      const problem = 'algorithms: a published key is for RS*, PS* and ES* only'
      throw new KnellError('config_invalid', problem, { details: { problems: [problem] } })
    }
    this.#fetch = createJwksFetch(parseJwksUri(options.url), options.timeoutMs ?? 5000)
    this.#maxAgeMs = maxAgeMs
    this.#coolDownMs = coolDownMs
    this.#isRevoked = options.isRevoked ?? (() => false)
    this.#onProblem = options.onProblem ?? (() => {})
  }

  get kids(): readonly string[] {
    return this.published.filter((kid) => !this.#isRevoked(kid))
  }

  /** The names of all keys of the set, revoked ones included. */
  get published(): readonly string[] {
    return this.#keys?.kids ?? []
  }

  /** Whether a usable set has come. */
  get hasKeys(): boolean {
    return this.#keys !== undefined
  }

  isRevoked(kid: unknown): boolean {
    return typeof kid === 'string' && this.#isRevoked(kid)
  }

  /** @throws KnellError `keys_unavailable` while no set has come, `token_unknown_key`, `token_alg_refused` */
  keyFor(alg: Algorithm, kid: unknown): VerificationKey {
    if (this.#keys === undefined) {
      throw new KnellError('keys_unavailable', 'The keys of the identity provider are not known.')
    }
    const key = this.#keys.keyFor(alg, kid)
    if (!this.isRevoked(key.kid)) return key
    throw new KnellError('token_unknown_key', 'The token was signed with a key that is revoked.')
  }

  /** Begins to fetch. Resolves after the first try, whatever became of it; it goes on by itself. */
  async start(): Promise<void> {
    await this.#load()
  }

  /**
   * For a token whose key is not known: fetches, unless that was done too often of late. Whoever asks
   * while a fetch is under way waits for that one. Answers whether a set came.
   */
  async refetch(): Promise<boolean> {
    if (this.#loading !== undefined) return this.#loading
    if (this.isCooling) return false
    this.#allowance -= 1
    return this.#load()
  }

  /** Whether nothing is fetched now for the sake of a key that is not known, so that it may be there all the same. */
  get isCooling(): boolean {
    const now = performance.now()
    const regained = (now - this.#allowedAt) / Math.max(1, this.#coolDownMs)
    this.#allowance = Math.min(BURST, this.#allowance + regained)
    this.#allowedAt = now
    return this.#allowance < 1
  }

  /** Fetches no more; the keys at hand stay. Twice is fine. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #load(): Promise<boolean> {
    if (this.#stopped) return Promise.resolve(false)
    this.#loading ??= this.#read().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  async #read(): Promise<boolean> {
    let nextMs: number
    try {
      const { jwks, maxAgeMs = this.#maxAgeMs } = await this.#fetch()
      const { keys, problems } = readPublicKeys(jwks, this.algorithms)
      if (keys === undefined) {
        const why = ['no key of the set is usable', ...problems].join('; ')
        throw new KnellError('keys_unavailable', `The JWK set is passed over: ${why}.`)
      }
      this.#keys = keys
      this.#failures = 0
      this.#tell(problems.length === 0 ? undefined : passedOver(problems))
      nextMs = Math.min(this.#maxAgeMs, Math.max(maxAgeMs, MIN_AGE_MS))
    } catch (error) {
      this.#tell(toKnellError(error, 'keys_unavailable'))
      const leastMs = this.hasKeys ? this.#coolDownMs : Math.min(FIRST_RETRY_MS, this.#coolDownMs)
      nextMs = Math.min(this.#maxAgeMs, leastMs * 2 ** Math.min(this.#failures, 5))
      this.#failures += 1
    }
    clearTimeout(this.#timer)
    if (!this.#stopped) {
      // A fleet that was started at once must not ask at once for ever.
      this.#timer = setTimeout(() => void this.#load(), nextMs * (1 - Math.random() / 10))
      this.#timer.unref()
    }
    return this.#failures === 0
  }

  /** The same trouble again says nothing new. */
  #tell(error: KnellError | undefined): void {
    const text = error?.message ?? ''
    if (error !== undefined && text !== this.#told) this.#onProblem(error)
    this.#told = text
  }
}

function passedOver(problems: readonly string[]): KnellError {
  const text = problems.slice(0, 10).join('; ')
  return new KnellError('keys_unavailable', `Keys of the JWK set are passed over: ${text}.`)
}
