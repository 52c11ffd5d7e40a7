import { z } from 'zod'
import { json, NOTIFIER, type Call } from '../../shared/http/calls/call.ts'
import * as part from '../../shared/http/calls/parts.ts'
import { recentTakes } from '../routes/recent.ts'

const ms = z.number().min(0).nullable()

const change = z.object({
  at: part.timeMs,
  tenant: part.tenant,
  shard: part.shard,
  epoch: part.epoch,
  seq: part.seq,
  kind: part.kind,
  match: part.match,
  reason: part.reason.optional(),
  live: part.count,
  applied: part.count,
  missing: z.array(z.object({ service: part.service, instance: part.instance })),
  pushMs: ms,
  enforcedMs: ms,
})

export const recentCalls: readonly Call[] = [
  {
    call: 'GET /v1/recent',
    id: 'listRecent',
    servedBy: NOTIFIER,
    summary: 'The newest changes of rules, and who has applied each',
    scopes: ['ops:read'],
    ...recentTakes['GET /v1/recent'],
    answers: {
      200: json(
        'Newest first. What this notifier did not see itself is null.',
        z.object({ settled: z.boolean(), recent: z.array(change) }),
      ),
    },
  },
]
