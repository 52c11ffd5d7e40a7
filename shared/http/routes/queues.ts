import type { FastifyInstance } from 'fastify'
import { KnellError } from '../../domain/errors.ts'
import type { Services } from '../services.ts'

/** `GET /v1/queues`: how full everything is, and what somebody should do about it. */
export function addQueueRoutes(app: FastifyInstance, { queueHealth }: Services): void {
  app.get('/v1/queues', async (request) => {
    const key = app.auth.require(request, 'ops:read')
    // A queue of a service holds the events of all its tenants.
    if (key.tenants !== '*') {
      throw new KnellError('forbidden', 'The queues are for keys of all tenants.')
    }
    return queueHealth.read()
  })
}
