import type { TenantSettings } from '../config/tenant-settings.ts'
import { isKnellError, KnellError } from '../domain/errors.ts'
import { joinKeySets, type KeySet } from '../tokens/key-set.ts'
import { createLogoutVerifier, type LogoutToken } from '../tokens/logout-token.ts'
import { readUnverified } from '../tokens/read-unverified.ts'
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
   * @throws KnellError `token_*`, `store_*`, `keys_unavailable`
   */
  verify(
    settings: TenantSettings,
    token: string,
    { typ, ...call }: VerifyCall & { readonly typ?: readonly string[] } = {},
  ): Promise<VerifiedToken | undefined> {
    return this.#try(settings, token, (keys, issuer) =>
      createVerifier({ keys, issuer, ...(typ && { typ }) }).verify(token, call),
    )
  }

  /**
   * What a logout token says; undefined where the tenant takes none. One whose key may only not be
   * known yet is refused with `keys_unavailable`: a provider does not send again what was simply bad.
   * @throws KnellError as `verify`
   */
  async verifyLogout(
    settings: TenantSettings,
    token: string,
    now: number,
  ): Promise<LogoutToken | undefined> {
    const { tenant, logoutAudience: audience } = settings
    if (audience === undefined) return undefined
    try {
      return await this.#try(settings, token, (keys, issuer) =>
        createLogoutVerifier({ keys, issuer, audience }).verify(token, { now }),
      )
    } catch (error) {
      const isUnknown = isKnellError(error, 'token_unknown_key')
      if (!isUnknown || !this.#sources.some((source) => source.mayLack?.(tenant))) throw error
      const text = 'The key of the token is not known yet; send it again in a moment.'
      throw new KnellError('keys_unavailable', text, { cause: error })
    }
  }

  async #try<Token>(
    settings: TenantSettings,
    token: string,
    verify: (keys: KeySet, issuer: string) => Token,
  ): Promise<Token | undefined> {
    const { issuer } = settings
    if (issuer === undefined) return undefined
    const once = async (fresh: boolean): Promise<Token | undefined> => {
      const keys = await this.#keysOf(settings, fresh)
      return keys === undefined ? undefined : verify(keys, issuer)
    }
    try {
      const verified = await once(false)
      if (verified !== undefined || this.#sources.length === 0) return verified
    } catch (error) {
      const isWorthwhile = this.#sources.length > 0 && isOf(token, issuer)
      if (!mayBeOfNewKey(error) || !isWorthwhile) throw error
    }
    return once(true)
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
  const codes = ['token_unknown_key', 'token_alg_refused', 'keys_unavailable'] as const
  return codes.some((code) => isKnellError(error, code))
}

/** What says that another issuer made it is not worth asking anybody for keys. */
function isOf(token: string, issuer: string): boolean {
  return readUnverified(token).claims['iss'] === issuer
}
