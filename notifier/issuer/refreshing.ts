import { isIssuing, type TenantSettings } from '../../shared/config/tenant-settings.ts'
import { claimsOfFamily, type FamilyFacts, type RefreshPlan } from '../../shared/domain/family.ts'
import type { Claims } from '../../shared/domain/claims.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import type { Services } from '../../shared/http/services.ts'
import type { Family, FamilyStore, Rotated } from '../../shared/store/family-store.ts'
import { livesOf } from '../../shared/store/lives.ts'
import { doesNotIssue, type Issued, type Issuing } from './issuing.ts'
import { countRefresh, countRefusals } from './refresh-outcome.ts'
import type { Proved, RefreshProof, Sent } from './refresh-proof.ts'
import { refreshHashOf, type RefreshTokens } from './refresh-tokens.ts'
import type { ReuseAlarm } from './reuse-alarm.ts'

export interface RefreshRequest extends Sent {
  /** The words of the scope that the access token is to have; never more than the session has. */
  readonly scope?: string | undefined
  /** What the access tokens of the session say from now on, besides; absent: what they said. */
  readonly claims?: Claims | undefined
}

export interface Refreshed extends Issued {
  readonly refreshToken: string
  /** NumericDate: when the session ends, however often it is refreshed. */
  readonly endsAt: number
}

/** Refreshes sessions: each use of a refresh token rotates it (RFC 9700, section 4.14.2). */
export class Refreshing {
  readonly #services: Services
  readonly #issuing: Issuing
  readonly #families: FamilyStore
  readonly #tokens: RefreshTokens
  readonly #alarm: ReuseAlarm
  readonly #graceMs: number
  readonly #proof: RefreshProof
  readonly #lifeSeconds: number

  constructor(options: {
    services: Services
    issuing: Issuing
    families: FamilyStore
    tokens: RefreshTokens
    alarm: ReuseAlarm
    proof: RefreshProof
    graceMs: number
    lifeSeconds: number
  }) {
    this.#services = options.services
    this.#issuing = options.issuing
    this.#families = options.families
    this.#tokens = options.tokens
    this.#alarm = options.alarm
    this.#graceMs = options.graceMs
    this.#proof = options.proof
    this.#lifeSeconds = options.lifeSeconds
  }

  /**
   * The session that a refresh token is of, judged as for a refresh; nothing is rotated.
   * @throws KnellError as `refresh`
   */
  async look(settings: TenantSettings, sent: Sent): Promise<Family> {
    return countRefusals(this.#services.metrics, async () => {
      const proved = await this.#prove(settings, sent)
      await this.#assertGood(settings, proved)
      await this.#issuing.judge(settings.tenant, toClaims(settings, proved.family))
      return proved.family
    })
  }

  /**
   * Rotates a refresh token and issues an access token. The access token is signed first: its `iat` is
   * of the judgement, so whatever is revoked between that and the rotation covers it, and what cannot
   * be issued leaves the refresh token as it was.
   * @throws KnellError `refresh_token_invalid`, `refresh_token_reused`, `session_ended`,
   *   `session_revoked`, `session_held`, `invalid_scope`, and as `Issuing.issue`
   */
  async refresh(settings: TenantSettings, request: RefreshRequest): Promise<Refreshed> {
    const { metrics } = this.#services
    return countRefusals(metrics, async () => {
      const proved = await this.#prove(settings, request)
      await this.#assertGood(settings, proved)
      const { family } = proved
      const facts = { ...family.facts, ...(request.claims && { claims: request.claims }) }
      const scope = narrowed(facts.scope, request.scope)
      await this.#families.keepRules(settings.tenant, this.#lifeSeconds)
      const issued = await this.#issuing.issue(
        settings,
        { ...facts, scope },
        toClaims(settings, family),
      )
      const rotated = await this.#rotate(settings, proved, request.claims && facts)
      const { plan } = rotated
      if (plan !== 'rotate' && plan !== 'same') throw await this.#refused(settings, family, rotated)
      const refreshToken = this.#given(settings.tenant, family, rotated)
      countRefresh(metrics, plan === 'same' ? 'repeated' : 'rotated')
      return { ...issued, refreshToken, endsAt: family.endsAt }
    })
  }

  /** Whoever it is that a token is not good for, and for whatever reason, learns the same. */
  async #prove(settings: TenantSettings, sent: Sent): Promise<Proved> {
    const proved = await this.#proof.prove(settings, sent)
    if (proved === undefined) throw invalid()
    return proved
  }

  /** Where it is known already that a token is not good no rule is asked; a reuse ends a session that is held as well. */
  async #assertGood(settings: TenantSettings, proved: Proved): Promise<void> {
    const { family, plan } = proved
    if (plan === 'rotate' || plan === 'same') return
    if (plan !== 'reuse') throw refusalOf(plan, family)
    throw await this.#refused(settings, family, await this.#rotate(settings, proved))
  }

  async #rotate(
    settings: TenantSettings,
    { at, family, generation, hash }: Proved,
    facts?: FamilyFacts,
  ): Promise<Rotated> {
    const { tenant } = settings
    const next = refreshHashOf(this.#tokens.newest(tenant, family, generation + 1))
    const lives = await livesOf(this.#services, settings)
    const graceMs = this.#graceMs
    const rotation = { generation, hash, next, graceMs, at, ...(facts && { facts }) }
    return this.#families.rotate(tenant, family, rotation, lives)
  }

  async #refused(
    settings: TenantSettings,
    family: Family,
    { plan, due, dead }: Rotated,
  ): Promise<KnellError> {
    if (due !== undefined) await this.#alarm.raise(settings, family, due)
    // The store was put back meanwhile, to before the token was used.
    if (plan === 'rotate' || plan === 'same') {
      return new KnellError('store_epoch_changed', 'The store has changed; send it again.')
    }
    return refusalOf(plan, { ...family, ...(dead && { dead }) })
  }

  /** The newest token of a family, by whichever secret it was made. */
  #given(tenant: string, family: Family, { generation, current }: Rotated): string {
    const tokens = this.#tokens.tokensOf(tenant, family, generation)
    const token = tokens.find((one) => refreshHashOf(one) === current)
    if (token === undefined) throw invalid()
    return token
  }
}

function toClaims(settings: TenantSettings, { facts, startedAt }: Family): Claims {
  if (!isIssuing(settings)) throw doesNotIssue(settings.tenant)
  return claimsOfFamily(settings.issuer, facts, startedAt)
}

/** RFC 6749, section 6: what is asked for may leave words out, and add none. @throws KnellError `invalid_scope` */
function narrowed(granted: string | undefined, asked: string | undefined): string | undefined {
  if (asked === undefined) return granted
  const words = new Set(granted?.split(' '))
  if (asked.split(' ').every((word) => words.has(word))) return asked
  throw new KnellError('invalid_scope', 'The session does not have all of this scope.')
}

function invalid(): KnellError {
  return new KnellError('refresh_token_invalid', 'The refresh token is not valid.')
}

function refusalOf(plan: RefreshPlan, { facts, dead }: Pick<Family, 'facts' | 'dead'>): KnellError {
  if (plan === 'unknown') return invalid()
  if (plan === 'reuse' || dead === 'reuse') {
    const { sid, sub } = facts
    return new KnellError(
      'refresh_token_reused',
      'A refresh token of this session was used twice, so the session has ended; the user must log in again.',
      { details: { sid, sub } },
    )
  }
  return new KnellError('session_ended', 'The session has ended; the user must log in again.')
}
