import { z } from 'zod'
import { json, NOTIFIER, type Call } from '../../shared/http/calls/call.ts'
import * as part from '../../shared/http/calls/parts.ts'
import { tokenTakes } from '../routes/tokens.ts'
import { jwtCodes } from './jwt-codes.ts'

const registered = z.object({
  registered: part.count,
  rejectedCount: part.count.optional(),
  rejected: z
    .array(
      z.object({
        index: part.count.optional(),
        line: part.count.optional(),
        code: z.string(),
        message: z.string(),
      }),
    )
    .optional(),
})

export const tokenCalls: readonly Call[] = [
  {
    call: 'POST /v1/tokens',
    id: 'registerTokens',
    servedBy: NOTIFIER,
    summary: 'Registers tokens, so that their expiry is announced',
    description:
      'One token, an array of up to 5,000, or NDJSON of any length, each line as the schema says. A token by its claims needs tokens:claims.',
    scopes: ['tokens:write', 'tokens:claims'],
    ...tokenTakes['POST /v1/tokens'],
    answers: {
      201: json(
        'How many were registered; of an array or NDJSON the bad ones are listed by index or line.',
        registered,
      ),
    },
    codes: [
      ...jwtCodes,
      'token_expired',
      'token_too_long_lived',
      'no_verification_key',
      'keys_unavailable',
      'quota_exceeded',
    ],
  },
]
