import type { FastifyInstance } from 'fastify'
import type { Services } from '../../shared/http/services.ts'
import { Issuing } from './issuing.ts'
import { addJwksRoutes } from './jwks.ts'
import { addKeyRoutes } from './keys.ts'
import { addSessionRoutes } from './sessions.ts'

/** Everything of issuing, where it is on. */
export function addIssuer(app: FastifyInstance, services: Services): void {
  const { settings, keyRings } = services
  if (settings.issuer === undefined || keyRings === undefined) return
  const issuing = new Issuing(services, keyRings, settings.issuer.accessSeconds)
  addSessionRoutes(app, issuing)
  addKeyRoutes(app, services, keyRings)
  addJwksRoutes(app, settings, keyRings)
}
