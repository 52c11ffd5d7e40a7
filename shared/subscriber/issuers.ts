import type { Claims, Header } from '../domain/claims.ts'
import { readUnverified } from '../tokens/read-unverified.ts'
import { createVerifier, type Verifier, type VerifyOptions } from '../tokens/verifier.ts'

/** A token whose signature is good, and whose tenant is known by it. */
export interface Verified {
  readonly claims: Claims
  readonly header: Header
  readonly tenant: string
}

/** Who issues the tokens of which tenant, and with which keys. */
export class Issuers {
  readonly #verifiers = new Map<string, Verifier>()

  /** @throws KnellError `config_invalid` for unusable keys */
  constructor(options: ReadonlyMap<string, VerifyOptions>) {
    for (const [tenant, one] of options) this.#verifiers.set(tenant, createVerifier(one))
  }

  /** The tenant whose tokens have this `iss`. */
  tenantOf(iss: unknown): string | undefined {
    for (const [tenant, verifier] of this.#verifiers) if (verifier.issuer === iss) return tenant
    return undefined
  }

  /**
   * Verifies a token, but for its `exp`. `now`: ms. Undefined where no tenant has its issuer.
   * @throws TypeError without any keys; KnellError `token_*` for a token that is not good
   */
  read(token: string, tenant: string | undefined, now: number): Verified | undefined {
    const found = this.#find(token, tenant)
    if (found === undefined) return undefined
    const [name, verifier] = found
    return { ...verifier.verify(token, { ignoreExpiration: true, now: now / 1000 }), tenant: name }
  }

  #find(token: string, tenant: string | undefined): [string, Verifier] | undefined {
    if (this.#verifiers.size === 0) {
      throw new TypeError('verify() needs the option verify: keys and issuer, per tenant.')
    }
    const all = [...this.#verifiers]
    if (tenant !== undefined) return all.find(([name]) => name === tenant)
    if (all.length === 1) return all[0]
    const { iss } = readUnverified(token).claims
    return all.find(([, verifier]) => verifier.issuer === iss)
  }
}
