import type { RefreshOutcome } from '../../shared/domain/family.ts'
import { isKnellError, type ErrorCode } from '../../shared/domain/errors.ts'
import type { Metrics } from '../../shared/metrics/metrics.ts'

const outcomes: Partial<Record<ErrorCode, RefreshOutcome>> = {
  refresh_token_invalid: 'invalid',
  refresh_token_reused: 'reused',
  session_ended: 'ended',
  session_revoked: 'revoked',
  session_held: 'held',
}

export function countRefresh(metrics: Metrics, outcome: RefreshOutcome): void {
  metrics.count('knell_refreshes_total', { outcome })
}

/** Does what a refresh token came for, and counts it where it was refused. */
export async function countRefusals<T>(metrics: Metrics, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    countRefresh(metrics, (isKnellError(error) && outcomes[error.code]) || 'failed')
    throw error
  }
}
