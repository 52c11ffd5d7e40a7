import { checkTakes } from '../routes/check.ts'
import { BOTH, json, type Call } from './call.ts'
import { extended, shownRuleSchema } from './parts.ts'

export const checkCalls: readonly Call[] = [
  {
    call: 'POST /v1/check',
    id: 'check',
    servedBy: BOTH,
    summary: 'The decision of the store itself on a token',
    description:
      'For callers without a view. Without a header, answers header_needed where a kid matters.',
    scopes: ['feed:read'],
    ...checkTakes['POST /v1/check'],
    answers: {
      200: json(
        'The decision, signed where answers are; with explain also the rules it rests on.',
        extended('decision.json', {
          properties: { rules: { type: 'array', items: shownRuleSchema } },
        }),
      ),
    },
    codes: ['token_wrong_issuer'],
  },
]
