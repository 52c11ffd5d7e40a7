import type { IssuerSettings } from '../../shared/config/issuer-settings.ts'
import type { Services } from '../../shared/http/services.ts'
import type { KeyRings } from '../../shared/keys/key-rings.ts'
import { createSealer } from '../../shared/keys/sealer.ts'
import { FamilyStore } from '../../shared/store/family-store.ts'
import type { Issuing } from './issuing.ts'
import { KnownSessions } from './known-sessions.ts'
import { RefreshProof } from './refresh-proof.ts'
import { RefreshTokens } from './refresh-tokens.ts'
import { Refreshing } from './refreshing.ts'
import { ReuseAlarm } from './reuse-alarm.ts'
import { SessionEnd } from './session-end.ts'
import { SessionStart } from './session-start.ts'

/** What can be done with sessions. */
export interface SessionParts {
  readonly start: SessionStart
  readonly refreshing: Refreshing
  readonly known: KnownSessions
  readonly end: SessionEnd
}

export function createSessionParts(
  services: Services,
  issuing: Issuing,
  issuer: IssuerSettings,
  rings: KeyRings,
  families: FamilyStore = new FamilyStore(services.store),
): SessionParts {
  const { refreshSeconds: lifeSeconds, refreshGraceMs: graceMs } = issuer
  const tokens = new RefreshTokens(
    createSealer(issuer.keyEncryptionKeys, services.settings.namespace),
  )
  const proof = new RefreshProof(families, tokens, rings, graceMs)
  const alarm = new ReuseAlarm(services)
  const common = { issuing, families, tokens, lifeSeconds }
  return {
    start: new SessionStart(common),
    refreshing: new Refreshing({ services, alarm, proof, graceMs, ...common }),
    known: new KnownSessions(proof, issuing, families),
    end: new SessionEnd(services, families),
  }
}
