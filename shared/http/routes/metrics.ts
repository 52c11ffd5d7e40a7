import type { FastifyInstance } from 'fastify'
import { KnellError } from '../../domain/errors.ts'
import type { Services } from '../services.ts'

/** `GET /metrics`, as Prometheus scrapes it: with `authorization` in its configuration. */
export function addMetricsRoute(app: FastifyInstance, { metrics }: Services): void {
  app.get('/metrics', async (request, reply) => {
    const key = app.auth.require(request, 'ops:read')
    // They count what was done for all tenants together.
    if (key.tenants !== '*') {
      throw new KnellError('forbidden', 'Metrics are for keys of all tenants.')
    }
    void reply.header('cache-control', 'no-store').type(metrics.contentType)
    return metrics.text()
  })
}
