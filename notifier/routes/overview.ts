import type { FastifyInstance } from 'fastify'
import { KnellError } from '../../shared/domain/errors.ts'
import type { Overviews } from '../overview.ts'

/** `GET /v1/overview`: is everything enforced, and how fast. It answers also while the store is away. */
export function addOverviewRoute(app: FastifyInstance, overviews: Overviews): void {
  app.get('/v1/overview', async (request, reply) => {
    const key = app.auth.require(request, 'ops:read')
    if (key.tenants !== '*') {
      throw new KnellError(
        'forbidden',
        'The overview is of all tenants, and for keys of all tenants.',
      )
    }
    void reply.header('cache-control', 'no-store')
    return overviews.read()
  })
}
