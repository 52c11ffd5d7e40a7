import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { KnellError } from '../../domain/errors.ts'
import type { Takes } from '../calls/call.ts'
import { countSchema, parseWith } from '../schemas.ts'
import type { Services } from '../services.ts'
import { parseStored } from '../../store/stored-json.ts'

/** Probes have no key. */
const open = { config: { isOpen: true } }

const sweepsQuery = z.strictObject({ limit: countSchema(1, 1000, 50) })

/** What the calls of this file take. */
export const opsTakes: Takes = {
  'GET /v1/sweeps': { query: sweepsQuery },
}

/** Health for probes, and what the sweeps caught. */
export function addOpsRoutes(app: FastifyInstance, { upkeep, health }: Services): void {
  app.get('/livez', open, () => ({ status: 'ok' }))
  app.get('/readyz', open, (_request, reply) => {
    const report = health.report()
    return reply.status(report.status === 'failing' ? 503 : 200).send(report)
  })
  app.get('/v1/sweeps', async (request) => {
    const key = app.auth.require(request, 'ops:read')
    // A report counts what was found for all tenants together.
    if (key.tenants !== '*') {
      throw new KnellError('forbidden', 'The reports of sweeps are for keys of all tenants.')
    }
    const { limit } = parseWith(sweepsQuery, request.query, 'query')
    const reports = await upkeep.reports(limit)
    return { sweeps: reports.map((report) => parseStored(report)) }
  })
}
