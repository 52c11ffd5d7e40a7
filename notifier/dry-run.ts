import type { TenantSettings } from '../shared/config/tenant-settings.ts'
import type { Services } from '../shared/http/services.ts'
import type {
  HoldChange,
  ReleaseChange,
  RestoreChange,
  RevokeChange,
} from '../shared/store/changes.ts'
import type { RulePreview } from '../shared/store/rule-store.ts'

/** What a call would do, for a caller who asks first. */
export async function dryAnswer(
  _services: Services,
  _settings: TenantSettings,
  preview: RulePreview,
  _asked: {
    change: RevokeChange | HoldChange | ReleaseChange | RestoreChange
    at?: number | undefined
  },
): Promise<Record<string, unknown>> {
  const { match, current, rule, lifted } = preview
  return { dryRun: true, match, rule, current, ...(lifted === undefined ? {} : { lifted }) }
}
