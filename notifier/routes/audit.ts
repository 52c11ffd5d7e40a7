import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { auditActions, type AuditFilter } from '../../shared/domain/audit-record.ts'
import { parseMatch } from '../../shared/domain/claims.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { Cap } from '../../shared/http/cap.ts'
import {
  countSchema,
  isStoreCount,
  NO_CURSOR,
  parseWith,
  tenantSchema,
} from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'
import { exportTrail, readPage, type Trail } from '../audit-trail.ts'

/** Milliseconds since 1970 have reached this in 1973, seconds will in the year 5138. */
const SURELY_MS = 1e11
const NDJSON = 'application/x-ndjson'

const timeSchema = z
  .string()
  .transform((text, context) => {
    const ms = /^\d{1,15}$/.test(text) ? Number(text) : dateOf(text)
    if (ms >= SURELY_MS) return ms
    context.addIssue({
      code: 'custom',
      message:
        'must be milliseconds since 1970, as in a record’s at, or a time such as 2026-01-31T00:00:00Z',
    })
    return z.NEVER
  })
  .optional()

const actionsSchema = z
  .string()
  .transform((text) => text.split(','))
  .pipe(z.array(z.enum(auditActions)))
  .optional()

const CURSOR = /^\d{1,15}-(\d{1,20})\.[\dstbl]{1,3}\.[A-Za-z0-9_-]{0,40}$/

const auditQuery = z.looseObject({
  tenant: tenantSchema,
  action: actionsSchema,
  who: z.string().min(1).max(1000).optional(),
  after: timeSchema,
  before: timeSchema,
  limit: countSchema(1, 1000, 100),
  cursor: z
    .string()
    .regex(CURSOR, NO_CURSOR)
    .refine((text) => isStoreCount(CURSOR.exec(text)?.[1] ?? ''), NO_CURSOR)
    .optional(),
  format: z.enum(['json', 'ndjson']).optional(),
})

/** What the calls of this file take. */
export const auditTakes: Takes = {
  'GET /v1/audit': { query: auditQuery },
}

/** `GET /v1/audit`: who did what, when, why, from where, with which result; a page, or all of it as NDJSON. */
export function addAuditRoute(app: FastifyInstance, services: Services): void {
  const exports = new Cap(app.limits.exportsPerKey, 'exports of the audit trail')

  app.get('/v1/audit', async (request, reply) => {
    const parsed = parseWith(auditQuery, request.query, 'query')
    const { tenant, action, who, after, before, limit, cursor, format, ...claims } = parsed
    const key = app.auth.require(request, 'audit:read')
    const filter: AuditFilter = {
      ...(action === undefined ? {} : { actions: new Set(action) }),
      who,
      claims: textsOf(parseMatch(claims, 'the query')),
    }
    // A tenant that is named is the one asked for; else all that the key may see.
    const tenants =
      tenant === undefined
        ? [...services.settings.tenants.keys()].filter((name) => key.mayUse(name))
        : [app.auth.tenant(request, tenant, 'audit:read').tenant]
    const own = tenant === undefined && key.tenants === '*'
    const trail: Trail = { tenants, own, filter, after, before }
    void reply.header('cache-control', 'no-store')
    if (!wantsLines(request, format)) return readPage(services, trail, limit, cursor)
    if (cursor !== undefined) {
      throw new KnellError('invalid_request', 'An export is whole: send no cursor with it.')
    }
    exports.takeFor(key.name, reply.raw)
    return reply.type(NDJSON).send(Readable.from(await exportTrail(services, trail)))
  })
}

function dateOf(text: string): number {
  const isDate = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/
  return isDate.test(text) ? Date.parse(text) : NaN
}

function textsOf(match: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(match).map(([name, value]) => [name, String(value)]))
}

function wantsLines(request: FastifyRequest, format: 'json' | 'ndjson' | undefined): boolean {
  if (format !== undefined) return format === 'ndjson'
  return (request.headers.accept ?? '').split(/[,;]/).some((type) => type.trim() === NDJSON)
}
