import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import type { Services } from '../../shared/http/services.ts'
import { noteDue } from '../../shared/store/due-index.ts'
import type { Family } from '../../shared/store/family-store.ts'
import { livesOf } from '../../shared/store/lives.ts'
import type { ScheduledText } from '../../shared/store/schedule-store.ts'

/**
 * Makes the revocation that a reuse has planned, so that the access tokens of the session die within
 * the push time. It lies in the store: where this process fails, the tick or the sweep makes it.
 */
export class ReuseAlarm {
  readonly #services: Services

  constructor(services: Services) {
    this.#services = services
  }

  async raise(
    settings: TenantSettings,
    { shard, facts, generation }: Family,
    due: ScheduledText,
  ): Promise<void> {
    const { audit, schedules, store, metrics, log } = this.#services
    const { tenant } = settings
    const { client_id, sub } = facts
    const details = { sub, client_id, generation }
    const { match, id: cause } = due
    const asked = { action: 'reuse', match, reason: 'reuse', cause, details } as const
    log.warn({ tenant, id: cause }, 'a refresh token was used twice; its session has ended')
    try {
      await noteDue(store, tenant, shard, 0)
      const lives = await livesOf(this.#services, settings)
      await schedules.fire(tenant, shard, due, lives, audit.ownAct(asked, 'api'))
      metrics.count('knell_revocations_accepted_total', { kind: 'revoked' })
    } catch (error) {
      log.error({ err: error, tenant, id: cause }, 'the sweep will revoke the session')
    }
  }
}
