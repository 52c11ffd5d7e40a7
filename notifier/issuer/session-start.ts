import { randomBytes } from 'node:crypto'
import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import type { FamilyFacts } from '../../shared/domain/family.ts'
import type { FamilyStore } from '../../shared/store/family-store.ts'
import type { Grant, Issuing } from './issuing.ts'
import { refreshHashOf, type RefreshTokens } from './refresh-tokens.ts'
import type { Refreshed } from './refreshing.ts'

/** Begins sessions that can be refreshed. */
export class SessionStart {
  readonly #issuing: Issuing
  readonly #families: FamilyStore
  readonly #tokens: RefreshTokens
  readonly #lifeSeconds: number

  constructor(options: {
    issuing: Issuing
    families: FamilyStore
    tokens: RefreshTokens
    lifeSeconds: number
  }) {
    this.#issuing = options.issuing
    this.#families = options.families
    this.#tokens = options.tokens
    this.#lifeSeconds = options.lifeSeconds
  }

  /**
   * Issues the first access token of a session, and the refresh token that goes on from there. The
   * session is as old as that access token: what is revoked after the judgement covers both. Rules are
   * kept long enough for it before that judgement.
   * @throws KnellError `session_exists` where one of this `sid` can still be refreshed; as `Issuing.issue`
   */
  async begin(
    settings: TenantSettings,
    grant: Omit<Grant, 'sid'> & { readonly sid?: string | undefined },
  ): Promise<Refreshed> {
    const { tenant } = settings
    const id = this.#families.newId(grant.sid)
    const sid = grant.sid ?? id
    await this.#families.keepRules(tenant, this.#lifeSeconds)
    if (grant.sid !== undefined && (await this.#families.idOf(tenant, sid)) !== undefined) {
      throw new KnellError(
        'session_exists',
        'A session with this sid lives already; end it first, or leave sid out for a new one.',
      )
    }
    const issued = await this.#issuing.issue(settings, { ...grant, sid })
    const startedAt = issued.claims.iat
    const endsAt = startedAt + this.#lifeSeconds
    const seed = randomBytes(16).toString('base64url')
    const refreshToken = this.#tokens.newest(tenant, { id, seed }, 1)
    const facts = toFacts({ ...grant, sid })
    const hash = refreshHashOf(refreshToken)
    await this.#families.begin(tenant, { id, facts, startedAt, endsAt, seed, hash })
    return { ...issued, refreshToken, endsAt }
  }
}

function toFacts({ sub, client_id, sid, aud, scope, claims, seconds }: Grant): FamilyFacts {
  return {
    sub,
    client_id,
    sid,
    aud,
    ...(scope !== undefined && { scope }),
    ...(claims !== undefined && { claims }),
    ...(seconds !== undefined && { seconds }),
  }
}
