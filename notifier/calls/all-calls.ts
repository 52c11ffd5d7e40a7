import type { Call } from '../../shared/http/calls/call.ts'
import { sharedCalls } from '../../shared/http/calls/shared-calls.ts'
import { auditCalls } from './audit.ts'
import { issuerCalls } from './issuer.ts'
import { maxTokenTtlCalls } from './max-token-ttl.ts'
import { oauthCalls } from './oauth.ts'
import { overviewCalls } from './overview.ts'
import { recentCalls } from './recent.ts'
import { revocationCalls } from './revocations.ts'
import { scheduleCalls } from './schedules.ts'
import { tokenCalls } from './tokens.ts'

/** Every call of the HTTP API, as docs/openapi.json describes it: `npm run contracts` writes that file. */
export const allCalls: readonly Call[] = [
  ...tokenCalls,
  ...revocationCalls,
  ...scheduleCalls,
  ...sharedCalls,
  ...maxTokenTtlCalls,
  ...auditCalls,
  ...recentCalls,
  ...overviewCalls,
  ...issuerCalls,
  ...oauthCalls,
]
