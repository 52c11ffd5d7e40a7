import type { FastifyInstance } from 'fastify'
import type { Metrics } from './metrics.ts'

/** Counts every answer under the pattern of its route, never under the path that was asked for. */
export function observeHttp(app: FastifyInstance, metrics: Metrics): void {
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none'
    const { method } = request
    metrics.count('knell_http_requests_total', { method, route, status: reply.statusCode })
    metrics.observe('knell_http_request_seconds', reply.elapsedTime / 1000, { route })
    done()
  })
}
