import { z } from 'zod'
import { ruleTakes } from '../routes/rules.ts'
import { json, NOTIFIER, type Call } from './call.ts'
import * as part from './parts.ts'

export const ruleCalls: readonly Call[] = [
  {
    call: 'GET /v1/revocations',
    id: 'listRules',
    servedBy: NOTIFIER,
    summary: 'The rule of a match, or a page of live ones',
    description:
      'A match is named by its claims as further parameters (sub=alice), or in match as JSON where a value is no text.',
    scopes: ['feed:read'],
    ...ruleTakes['GET /v1/revocations'],
    answers: {
      200: json(
        'With a match its rule; without, a page of live rules.',
        z.union([
          z.object({
            at: part.timeMs,
            match: part.match,
            rule: z.union([part.shownRule, z.null()]),
          }),
          z.object({ rules: z.array(part.shownRule), next: z.string().optional() }),
        ]),
      ),
    },
    codes: ['invalid_match'],
  },
]
