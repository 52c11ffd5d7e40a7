import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Takes } from '../../shared/http/calls/call.ts'
import { countSchema, NO_CURSOR, parseWith, tenantSchema } from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'

const listQuery = z.strictObject({
  tenant: tenantSchema,
  limit: countSchema(1, 1000, 100),
  cursor: z
    .string()
    .regex(/^\d{1,10}\.s\d{1,4}-[0-9a-f]{20}$/, NO_CURSOR)
    .optional(),
})

const cancelQuery = z.strictObject({
  tenant: tenantSchema,
  id: z
    .string()
    .regex(/^s\d{1,4}-[0-9a-f]{20}$/, 'must be an id that a scheduled revocation answered'),
})

/** What the calls of this file take. */
export const scheduleTakes: Takes = {
  'GET /v1/schedules': { query: listQuery },
  'DELETE /v1/schedules': { query: cancelQuery },
}

/** `GET /v1/schedules` and `DELETE /v1/schedules`: what waits for its time. */
export function addScheduleRoutes(app: FastifyInstance, { schedules, audit, log }: Services): void {
  app.get('/v1/schedules', async (request, reply) => {
    const { tenant: named, limit, cursor } = parseWith(listQuery, request.query, 'query')
    const { tenant } = app.auth.tenant(request, named, 'revocations:undo')
    void reply.header('cache-control', 'no-store')
    const [at, id] = cursor?.split('.') ?? []
    const after = at === undefined || id === undefined ? undefined : { at: Number(at), id }
    const { schedules: found, next } = await schedules.list(tenant, limit, after)
    return { schedules: found, ...(next === undefined ? {} : { next: `${next.at}.${next.id}` }) }
  })

  app.delete('/v1/schedules', { config: { action: 'unschedule' } }, async (request) => {
    const { tenant: named, id } = parseWith(cancelQuery, request.query, 'query')
    const { tenant } = app.auth.tenant(request, named, 'revocations:undo')
    const asked = { action: 'unschedule', details: { id } } as const
    const act = audit.act(request, app.auth.caller(request), asked)
    const cancelled = await schedules.cancel(tenant, id, act)
    log.info({ id, tenant }, 'a schedule was cancelled')
    return { cancelled }
  })
}
