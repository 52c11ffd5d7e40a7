import type { Claims, Header } from '../domain/claims.ts'
import type { KnellError } from '../domain/errors.ts'
import { readUnverified } from '../tokens/read-unverified.ts'
import { RemoteKeys } from '../tokens/remote-keys.ts'
import { verifyFresh } from '../tokens/verify-fresh.ts'
import {
  createVerifier,
  type RemoteVerifyOptions,
  type VerifiedToken,
  type Verifier,
  type VerifyOptions,
} from '../tokens/verifier.ts'

/** How the tokens of one tenant are verified: by keys that are given, or by those that a provider publishes. */
export type VerifySource = VerifyOptions | RemoteVerifyOptions

/** A token whose signature is good, and whose tenant is known by it. */
export interface Verified {
  readonly claims: Claims
  readonly header: Header
  readonly tenant: string
}

export interface IssuersHooks {
  /** Whether everything that this key of the tenant signed is dead. */
  isRevoked(tenant: string, kid: string): boolean
  onProblem(error: KnellError): void
}

interface Issuer {
  readonly verifier: Verifier
  /** Where a provider publishes the keys. */
  readonly keys: RemoteKeys | undefined
}

/** Who issues the tokens of which tenant, and with which keys. */
export class Issuers {
  readonly #issuers = new Map<string, Issuer>()
  /** The tenant that has an issuer, where no other has one. */
  readonly #only: string | undefined

  /** @throws KnellError `config_invalid` for unusable keys */
  constructor(sources: ReadonlyMap<string, VerifySource>, hooks: IssuersHooks) {
    for (const [tenant, source] of sources)
      this.#issuers.set(tenant, toIssuer(tenant, source, hooks))
    this.#only = this.#issuers.size === 1 ? [...this.#issuers.keys()][0] : undefined
  }

  /** Begins to fetch the keys that are published; resolves after the first try of each, whatever became of it. */
  async start(): Promise<void> {
    await Promise.all([...this.#issuers.values()].flatMap(({ keys }) => keys?.start() ?? []))
  }

  stop(): void {
    for (const { keys } of this.#issuers.values()) keys?.stop()
  }

  /** Whether every tenant that has an issuer has keys. */
  get hasKeys(): boolean {
    for (const { keys } of this.#issuers.values()) if (keys?.hasKeys === false) return false
    return true
  }

  /** The tenant whose tokens have this `iss`. */
  tenantOf(iss: unknown): string | undefined {
    for (const [tenant, { verifier }] of this.#issuers) if (verifier.issuer === iss) return tenant
    return undefined
  }

  /**
   * Verifies a token, but for its `exp`; where its key is a published one that is not known yet, the
   * keys are fetched first. `now`: ms. Undefined where no tenant has its issuer.
   * @throws TypeError without any keys; KnellError `token_*` for a token that is not good, `keys_unavailable`
   */
  read(
    token: string,
    tenant: string | undefined,
    now: number,
  ): Verified | undefined | Promise<Verified> {
    const name = this.nameFor(token, tenant)
    const issuer = name === undefined ? undefined : this.#issuers.get(name)
    if (name === undefined || issuer === undefined) return undefined
    const call = { ignoreExpiration: true, now: now / 1000 }
    const read = verifyFresh(issuer.verifier, issuer.keys, token, call)
    const named = ({ claims, header }: VerifiedToken): Verified => ({
      claims,
      header,
      tenant: name,
    })
    return read instanceof Promise ? read.then(named) : named(read)
  }

  /** The tenant that is to judge a token: the one named, the only one, or that of its unverified `iss`. @throws TypeError, KnellError as `read` */
  nameFor(token: string, tenant: string | undefined): string | undefined {
    if (this.#issuers.size === 0) {
      throw new TypeError(
        'verify() needs the option verify: keys or jwksUri, and issuer, per tenant.',
      )
    }
    if (tenant !== undefined) return tenant
    if (this.#only !== undefined) return this.#only
    return this.tenantOf(readUnverified(token).claims['iss'])
  }
}

function toIssuer(tenant: string, source: VerifySource, hooks: IssuersHooks): Issuer {
  if (!('jwksUri' in source)) return { verifier: createVerifier(source), keys: undefined }
  const { jwksUri, jwksMaxAge, jwksCoolDown, ...options } = source
  const keys = new RemoteKeys({
    url: jwksUri,
    algorithms: options.algorithms,
    maxAgeMs: jwksMaxAge,
    coolDownMs: jwksCoolDown,
    isRevoked: (kid) => hooks.isRevoked(tenant, kid),
    onProblem: (error) => hooks.onProblem(error),
  })
  return { verifier: createVerifier({ ...options, keys }), keys }
}
