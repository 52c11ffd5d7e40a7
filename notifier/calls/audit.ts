import { z } from 'zod'
import { auditActions, auditVias } from '../../shared/domain/audit-record.ts'
import { NOTIFIER, type Call } from '../../shared/http/calls/call.ts'
import * as part from '../../shared/http/calls/parts.ts'
import { auditTakes } from '../routes/audit.ts'

const record = z.object({
  id: z.string(),
  at: part.timeMs,
  tenant: z.union([part.tenant, z.null()]),
  action: z.enum(auditActions),
  who: z.object({
    key: z.string().nullable(),
    by: z.string().optional(),
    client: z.string().optional(),
  }),
  from: z.object({ address: z.string().nullable(), via: z.enum(auditVias) }),
  match: part.match.optional(),
  reason: z.string().optional(),
  note: z.string().optional(),
  cause: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
  result: z.looseObject({
    ok: z.boolean(),
    code: z.string().optional(),
    changed: z.boolean().optional(),
  }),
})

/** Before this time records may be missing, since a shard keeps no more. */
const cutAt = part.timeMs.optional()

const end = z.object({ end: z.literal(true), count: part.count, upTo: part.count, cutAt })

export const auditCalls: readonly Call[] = [
  {
    call: 'GET /v1/audit',
    id: 'readAudit',
    servedBy: NOTIFIER,
    summary: 'Who did what, when, why, from where, with which result',
    description:
      'A page, newest first, or with Accept: application/x-ndjson (or format=ndjson) all of it, oldest first, each line as the schema says, with an end. Further parameters are claims that the match must name.',
    scopes: ['audit:read'],
    ...auditTakes['GET /v1/audit'],
    answers: {
      200: {
        description: 'The trail of the key’s tenants.',
        content: {
          'application/json': z.object({
            audit: z.array(record),
            next: z.string().optional(),
            cutAt,
          }),
          'application/x-ndjson': z.union([record, end]),
        },
      },
    },
    codes: ['invalid_match'],
  },
]
