import { z } from 'zod'
import { json, NOTIFIER, type Call } from '../../shared/http/calls/call.ts'
import * as part from '../../shared/http/calls/parts.ts'
import { maxTokenTtlTakes } from '../routes/max-token-ttl.ts'

export const maxTokenTtlCalls: readonly Call[] = [
  {
    call: 'PUT /v1/max-token-ttl',
    id: 'changeMaxTokenTtl',
    servedBy: NOTIFIER,
    summary: 'Changes the longest token life',
    description: 'A shorter one is in force at once, a longer one after the old maximum and 60 s.',
    scopes: ['ops:write'],
    headers: ['knell-via'],
    ...maxTokenTtlTakes['PUT /v1/max-token-ttl'],
    answers: {
      200: json(
        'The steps as they now stand.',
        z.object({ tenant: part.tenant, maxTokenTtl: part.maxTokenTtl }),
      ),
    },
  },
]
