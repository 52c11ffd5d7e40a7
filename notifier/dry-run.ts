import type { Services } from '../shared/http/services.ts'
import type {
  HoldChange,
  ReleaseChange,
  RestoreChange,
  RevokeChange,
} from '../shared/store/changes.ts'
import { countHits, type Hits } from '../shared/store/hit-counter.ts'
import type { RulePreview } from '../shared/store/rule-store.ts'

/**
 * What a call would do, for a caller who asks first: the rule as it is and as it would become, what
 * would be lifted, and how many registered tokens carry the match (`hits`; null where the wheel
 * does not know the match's claims). `at` (NumericDate): when it would be done, where that is later.
 */
export async function dryAnswer(
  { store }: Services,
  tenant: string,
  preview: RulePreview,
  asked: {
    change: RevokeChange | HoldChange | ReleaseChange | RestoreChange
    at?: number | undefined
  },
): Promise<Record<string, unknown>> {
  const { change, at } = asked
  const { match, current, rule, lifted } = preview
  const except = change.op === 'revoke' ? change.except : undefined
  const counted = await countHits(store, tenant, { match, except, aliveAfter: at })
  const hits = counted === undefined ? null : bounded(counted, change)
  return { dryRun: true, match, rule, current, ...(lifted === undefined ? {} : { lifted }), hits }
}

/** The wheel does not know `iat`: an explicit cut-off may spare some, and what is lifted may die of something else. */
function bounded(
  hits: Hits,
  change: RevokeChange | HoldChange | ReleaseChange | RestoreChange,
): Hits {
  const all =
    change.op === 'hold' || (change.op === 'revoke' && (change.issuedBefore ?? null) === null)
  return all ? hits : { ...hits, atMost: true }
}
