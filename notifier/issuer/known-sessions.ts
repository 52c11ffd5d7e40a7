import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import { claimsOfFamily } from '../../shared/domain/family.ts'
import { isKnellError } from '../../shared/domain/errors.ts'
import type { FamilyStore } from '../../shared/store/family-store.ts'
import type { Issuing } from './issuing.ts'
import type { RefreshProof, Sent } from './refresh-proof.ts'

/** Refresh tokens, for whoever asks about one or ends its session: nothing is rotated, and a used one kills nobody. */
export class KnownSessions {
  readonly #proof: RefreshProof
  readonly #issuing: Issuing
  readonly #families: FamilyStore

  constructor(proof: RefreshProof, issuing: Issuing, families: FamilyStore) {
    this.#proof = proof
    this.#issuing = issuing
    this.#families = families
  }

  /** What may be told of a refresh token that is good now (RFC 7662, section 2.2). @throws KnellError `store_*` */
  async told(
    settings: TenantSettings,
    sent: Sent,
  ): Promise<Readonly<Record<string, unknown>> | undefined> {
    const { issuer } = settings
    const proved = await this.#proof.prove(settings, sent)
    const isGood = proved?.plan === 'rotate' || proved?.plan === 'same'
    if (proved === undefined || !isGood || issuer === undefined) return undefined
    const { facts, startedAt, endsAt } = proved.family
    const claims = claimsOfFamily(issuer, facts, startedAt)
    try {
      await this.#issuing.judge(settings.tenant, claims)
    } catch (error) {
      if (isKnellError(error, 'session_revoked') || isKnellError(error, 'session_held')) {
        return undefined
      }
      throw error
    }
    const { scope } = facts
    return { ...claims, exp: endsAt, ...(scope === undefined ? {} : { scope }) }
  }

  /** The session of a refresh token, whatever has become of it. @throws KnellError `store_*` */
  async sessionOf(
    settings: TenantSettings,
    sent: Sent,
  ): Promise<{ readonly sid: string; end(): Promise<void> } | undefined> {
    const proved = await this.#proof.prove(settings, sent)
    if (proved === undefined) return undefined
    const { family } = proved
    return {
      sid: family.facts.sid,
      end: async () => void (await this.#families.end(settings.tenant, family, 'logout')),
    }
  }
}
