import type { TenantSettings } from '../config/tenant-settings.ts'
import { isKnellError } from '../domain/errors.ts'
import { joinKeySets, type KeySet } from '../tokens/key-set.ts'
import { createVerifier, type VerifiedToken, type VerifyCall } from '../tokens/verifier.ts'
import type { KeySource } from './key-rings.ts'

/** Verifies the tokens of every tenant with all keys there are for it: those of its settings, and those of the sources. */
export class Verifiers {
  readonly #sources: readonly KeySource[]

  constructor(sources: readonly KeySource[]) {
    this.#sources = sources
  }

  /**
   * What was signed; undefined where the tenant has no key, so that nothing can be said of its tokens.
   * @throws KnellError `token_*`, `store_*`
   */
  async verify(
    settings: TenantSettings,
    token: string,
    call?: VerifyCall & { readonly typ?: readonly string[] },
  ): Promise<VerifiedToken | undefined> {
    try {
      const verified = await this.#verify(settings, token, call, false)
      if (verified !== undefined || this.#sources.length === 0) return verified
    } catch (error) {
      if (!mayBeOfNewKey(error) || this.#sources.length === 0) throw error
    }
    return this.#verify(settings, token, call, true)
  }

  async #verify(
    settings: TenantSettings,
    token: string,
    { typ, ...call }: VerifyCall & { readonly typ?: readonly string[] } = {},
    fresh: boolean,
  ): Promise<VerifiedToken | undefined> {
    const { issuer } = settings
    if (issuer === undefined) return undefined
    const keys = await this.#keysOf(settings, fresh)
    if (keys === undefined) return undefined
    return createVerifier({ keys, issuer, ...(typ && { typ }) }).verify(token, call)
  }

  async #keysOf(settings: TenantSettings, fresh: boolean): Promise<KeySet | undefined> {
    const sets = settings.keySet === undefined ? [] : [settings.keySet]
    for (const source of this.#sources) {
      const set = await source.keySet(settings.tenant, fresh)
      if (set !== undefined) sets.push(set)
    }
    return sets.length === 0 ? undefined : joinKeySets(sets)
  }
}

/** The key may be newer than what is known here, the first of the tenant or of its algorithm included. */
function mayBeOfNewKey(error: unknown): boolean {
  return isKnellError(error, 'token_unknown_key') || isKnellError(error, 'token_alg_refused')
}
