import type { FastifyInstance } from 'fastify'
import type { Services } from '../../shared/http/services.ts'
import { addIntrospectRoute } from './introspect.ts'
import { Issuing } from './issuing.ts'
import { addJwksRoutes } from './jwks.ts'
import { addKeyRoutes } from './keys.ts'
import { addMetadataRoute } from './metadata.ts'
import { addOAuthRoom } from './oauth-room.ts'
import { addRefreshRoutes } from './refresh-routes.ts'
import { addRevokeRoute } from './revoke.ts'
import { createSessionParts } from './session-parts.ts'
import { addSessionRoutes } from './sessions.ts'
import { addTokenEndpoint } from './token-endpoint.ts'

/** Everything of issuing, where it is on. */
export function addIssuer(app: FastifyInstance, services: Services): void {
  const { settings, keyRings } = services
  if (settings.issuer === undefined || keyRings === undefined) return
  const issuing = new Issuing(services, keyRings, settings.issuer.accessSeconds)
  const sessions = createSessionParts(services, issuing, settings.issuer, keyRings)
  addSessionRoutes(app, services, issuing, sessions.start)
  addRefreshRoutes(app, services, sessions)
  addOAuthRoom(app, services, (room) => {
    addTokenEndpoint(room, services, sessions.refreshing)
    addRevokeRoute(room, services, sessions.known)
    addIntrospectRoute(room, services, sessions.known)
  })
  addKeyRoutes(app, services, keyRings)
  addJwksRoutes(app, settings, keyRings)
  addMetadataRoute(app, settings)
}
