import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { countDue, type DueCounts } from '../../store/due-counts.ts'
import type { Takes } from '../calls/call.ts'
import { parseWith, tenantSchema } from '../schemas.ts'
import type { Services } from '../services.ts'
import { SharedRead } from '../../store/shared-read.ts'

/** A count is told again for this long, however many ask. */
const MAX_AGE_MS = 5000

const dueQuery = z.strictObject({ tenant: tenantSchema })

/** What the calls of this file take. */
export const dueTakes: Takes = {
  'GET /v1/due': { query: dueQuery },
}

/** `GET /v1/due`: how many tokens are due in each of the next 60 minutes. */
export function addDueRoute(app: FastifyInstance, { store }: Services): void {
  const counts = new Map<string, SharedRead<DueCounts>>()

  app.get('/v1/due', async (request, reply) => {
    const { tenant: named } = parseWith(dueQuery, request.query, 'query')
    const { tenant } = app.auth.tenant(request, named, 'ops:read')
    let read = counts.get(tenant)
    if (read === undefined) {
      read = new SharedRead(() => countDue(store, tenant))
      counts.set(tenant, read)
    }
    void reply.header('cache-control', 'no-store')
    return { tenant, ...(await read.read(MAX_AGE_MS)) }
  })
}
