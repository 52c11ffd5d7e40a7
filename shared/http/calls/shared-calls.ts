import type { Call } from './call.ts'
import { checkCalls } from './check.ts'
import { deadCalls } from './dead.ts'
import { dueCalls } from './due.ts'
import { feedCalls } from './feed.ts'
import { metricsCalls } from './metrics.ts'
import { opsCalls } from './ops.ts'
import { queueCalls } from './queues.ts'
import { ruleCalls } from './rules.ts'
import { subscriberCalls } from './subscribers.ts'
import { sweepCalls } from './sweeps.ts'

/** The calls whose routes are in shared/http/routes. */
export const sharedCalls: readonly Call[] = [
  ...ruleCalls,
  ...checkCalls,
  ...feedCalls,
  ...subscriberCalls,
  ...deadCalls,
  ...queueCalls,
  ...dueCalls,
  ...sweepCalls,
  ...opsCalls,
  ...metricsCalls,
]
