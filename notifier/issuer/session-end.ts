import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import type { Reason } from '../../shared/domain/reasons.ts'
import type { Services } from '../../shared/http/services.ts'
import type { Committed } from '../../shared/store/changes.ts'
import type { FamilyStore } from '../../shared/store/family-store.ts'
import { livesOf } from '../../shared/store/lives.ts'

/** Ends sessions: revokes their `sid`, so that their access tokens die within the push time. */
export class SessionEnd {
  readonly #services: Services
  readonly #families: FamilyStore

  constructor(services: Services, families: FamilyStore) {
    this.#services = services
    this.#families = families
  }

  /**
   * The revocation comes first: from then on no refresh is let through. Then the family is over, for
   * good: restoring the revocation brings the access tokens back, and no refresh token.
   */
  async end(
    settings: TenantSettings,
    sid: string,
    reason: Reason,
    act: string | undefined,
  ): Promise<Committed> {
    const { rules, metrics } = this.#services
    const { tenant } = settings
    const lives = await livesOf(this.#services, settings)
    const change = { op: 'revoke', match: { sid }, reason, ...lives } as const
    const committed = await rules.revoke(tenant, change, { act })
    metrics.count('knell_revocations_accepted_total', { kind: 'revoked' })
    const id = await this.#families.idOf(tenant, sid)
    const family = id === undefined ? undefined : (await this.#families.find(tenant, id)).family
    if (family !== undefined) await this.#families.end(tenant, family, 'logout')
    return committed
  }
}
