import type { FastifyInstance } from 'fastify'
import type { Services } from '../../shared/http/services.ts'
import { Issuing } from './issuing.ts'
import { createSealer } from '../../shared/keys/sealer.ts'
import { FamilyStore } from '../../shared/store/family-store.ts'
import { addJwksRoutes } from './jwks.ts'
import { addKeyRoutes } from './keys.ts'
import { addRefreshRoutes } from './refresh-routes.ts'
import { RefreshTokens } from './refresh-tokens.ts'
import { Refreshing } from './refreshing.ts'
import { ReuseAlarm } from './reuse-alarm.ts'
import { SessionEnd } from './session-end.ts'
import { SessionStart } from './session-start.ts'
import { addSessionRoutes } from './sessions.ts'

/** Everything of issuing, where it is on. */
export function addIssuer(app: FastifyInstance, services: Services): void {
  const { settings, keyRings } = services
  if (settings.issuer === undefined || keyRings === undefined) return
  const issuing = new Issuing(services, keyRings, settings.issuer.accessSeconds)
  const families = new FamilyStore(services.store)
  const sealer = createSealer(settings.issuer.keyEncryptionKeys, settings.namespace)
  const tokens = new RefreshTokens(sealer)
  const { refreshSeconds: lifeSeconds, refreshGraceMs: graceMs } = settings.issuer
  const alarm = new ReuseAlarm(services)
  const common = { issuing, families, tokens, lifeSeconds }
  const refreshing = new Refreshing({ services, alarm, graceMs, ...common })
  addSessionRoutes(app, services, issuing, new SessionStart(common))
  addRefreshRoutes(app, services, refreshing, new SessionEnd(services, families))
  addKeyRoutes(app, services, keyRings)
  addJwksRoutes(app, settings, keyRings)
}
