import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import { planRefresh, type RefreshPlan } from '../../shared/domain/family.ts'
import { parseRefreshToken } from '../../shared/domain/refresh-token.ts'
import type { Family, FamilyStore } from '../../shared/store/family-store.ts'
import type { KeyRings } from '../../shared/keys/key-rings.ts'
import { refreshHashOf, type RefreshTokens } from './refresh-tokens.ts'

/** A refresh token as it comes, and the client that sends it. */
export interface Sent {
  readonly refreshToken: string
  readonly clientId: string
}

/** A token that was proved to be of its family, and to be that client's. */
export interface Proved {
  /** The store time (ms) at which it was looked at. */
  readonly at: number
  readonly family: Family
  readonly generation: number
  readonly hash: string
  readonly plan: RefreshPlan
}

/** Compared with where there is no family: whether there is one takes equally long to find out. */
const NO_SEED = ''

/** Finds the family of a refresh token. */
export class RefreshProof {
  readonly #families: FamilyStore
  readonly #tokens: RefreshTokens
  readonly #rings: KeyRings
  readonly #graceMs: number

  constructor(families: FamilyStore, tokens: RefreshTokens, rings: KeyRings, graceMs: number) {
    this.#families = families
    this.#tokens = tokens
    this.#rings = rings
    this.#graceMs = graceMs
  }

  /**
   * Undefined for what is no token of ours, and for one of another client alike.
   * @throws KnellError `config_invalid` where this process has another key-encryption key than the rest
   *   and so cannot tell; `store_*`
   */
  async prove(
    { tenant }: TenantSettings,
    { refreshToken, clientId }: Sent,
  ): Promise<Proved | undefined> {
    const token = parseRefreshToken(refreshToken)
    if (token === undefined) return undefined
    const { at, family } = await this.#families.find(tenant, token.family)
    const isOurs = this.#tokens.proves(tenant, token, family?.seed ?? NO_SEED)
    if (!isOurs) await this.#rings.assertOpens(tenant)
    if (family === undefined || !isOurs || family.facts.client_id !== clientId) return undefined
    const { generation } = token
    const hash = refreshHashOf(refreshToken)
    const plan = planRefresh(family, { generation, hash }, at, this.#graceMs)
    return { at, family, generation, hash, plan }
  }
}
