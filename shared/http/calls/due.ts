import { z } from 'zod'
import { dueTakes } from '../routes/due.ts'
import { BOTH, json, type Call } from './call.ts'
import * as part from './parts.ts'

export const dueCalls: readonly Call[] = [
  {
    call: 'GET /v1/due',
    id: 'countDue',
    servedBy: BOTH,
    summary: 'How many registered tokens are due in each of the next 60 minutes',
    scopes: ['ops:read'],
    ...dueTakes['GET /v1/due'],
    answers: {
      200: json(
        'Of one tenant.',
        z.object({
          tenant: part.tenant,
          at: part.timeMs,
          minutes: z.array(part.count).length(60),
          overdue: part.count,
          complete: z.boolean(),
        }),
      ),
    },
  },
]
