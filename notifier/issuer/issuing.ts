import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { isIssuing, type TenantSettings } from '../../shared/config/tenant-settings.ts'
import type { Claims } from '../../shared/domain/claims.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import { ttlAt } from '../../shared/domain/max-token-ttl.ts'
import type { Services } from '../../shared/http/services.ts'
import type { KeyRings, SigningKey } from '../../shared/keys/key-rings.ts'
import { readCoveringRules, type CoveringRules } from '../../shared/store/covering-rules.ts'
import {
  signAccessToken,
  type AccessClaims,
  type GrantClaims,
} from '../../shared/tokens/sign-access-token.ts'

/** Whom an access token is for, and what it says. */
export interface Grant {
  readonly sub: string
  readonly client_id: string
  readonly aud: string | readonly string[]
  readonly sid: string
  readonly scope?: string | undefined
  /** Claims of the caller's own. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined
  /** The life of the token in seconds. Default: the setting's. */
  readonly seconds?: number | undefined
}

export interface Issued {
  readonly accessToken: string
  readonly claims: AccessClaims
}

/** A cut-off of this very second ends with it; one that reaches further is not waited for. */
const MAX_WAITS = 2
/** So many keys in a row may be revoked while one token is issued. */
const MAX_KEYS = 10

/** Signs access tokens with the key ring, and registers them before anybody has them. */
export class Issuing {
  readonly #services: Services
  readonly #rings: KeyRings
  readonly #accessSeconds: number

  constructor(services: Services, rings: KeyRings, accessSeconds: number) {
    this.#services = services
    this.#rings = rings
    this.#accessSeconds = accessSeconds
  }

  /**
   * Issues an access token (RFC 9068). Its `iat` is the second in which the rules were read that let it
   * be issued, so that whatever is revoked after that covers it. Where a cut-off of this very second
   * covers it, the next second is waited for: as at a login right after a password change.
   * `family`: the claims of the session that it is issued for, judged with it and each time anew.
   * @throws KnellError `grant_refused` where a live rule covers it; `no_verification_key` for a tenant
   *   that does not issue; `session_revoked`, `session_held`; `quota_exceeded`, `store_*`
   */
  async issue(settings: TenantSettings, grant: Grant, family?: Claims): Promise<Issued> {
    const { tenant } = settings
    if (!isIssuing(settings)) throw doesNotIssue(tenant)
    const claims = toClaims(settings.issuer, grant)
    for (let waits = 0, keys = 0; ;) {
      const key = await this.#rings.signing(tenant)
      const header = { kid: key.kid }
      const judgedAt = family === undefined ? Infinity : await this.judge(tenant, family)
      const read = await readCoveringRules(this.#services, tenant, claims, header)
      const earliestAt = Math.min(judgedAt, read.earliestAt)
      const iat = Math.floor(earliestAt / 1000)
      const verdict = read.table.verdict({ ...claims, iat }, header)
      if (verdict === undefined) {
        const seconds = grant.seconds ?? this.#accessSeconds
        assertShort(seconds, ttlAt(read.steps, iat))
        return this.#sign(tenant, { ...claims, iat, exp: iat + seconds }, key)
      }
      if (isOfKey(claims, iat, key, read) && keys < MAX_KEYS) {
        // Ended just now, or by a rule alone: it must not sign, and the next one does.
        await this.#rings.revoke(tenant, key.kid)
        keys += 1
        continue
      }
      const isOfThisSecond = read.table.verdict({ ...claims, iat: iat + 1 }, header) === undefined
      if (!isOfThisSecond || waits >= MAX_WAITS) throw refused(verdict)
      await delay(1000 - (earliestAt % 1000))
      waits += 1
    }
  }

  /**
   * Judges a session by the claims of its family. No rule on a `kid` meets it: what a key has signed is
   * dead, and the session gets its next token from another one. Answers the earliest store time (ms) at
   * which the rules were read.
   * @throws KnellError `session_revoked`, `session_held`, `store_*`
   */
  async judge(tenant: string, family: Claims): Promise<number> {
    const { table, earliestAt } = await readCoveringRules(this.#services, tenant, family, {})
    const verdict = table.verdict(family, {})
    if (verdict === undefined) return earliestAt
    const details = verdict.reason === undefined ? {} : { reason: verdict.reason }
    throw verdict.code === 'held'
      ? new KnellError('session_held', 'The session is held; it may go on once it is released.', {
          details,
        })
      : new KnellError('session_revoked', 'The session was revoked; the user must log in again.', {
          details,
        })
  }

  async #sign(tenant: string, claims: AccessClaims, key: SigningKey): Promise<Issued> {
    const { jti, exp, sub, sid, client_id } = claims
    const accessToken = signAccessToken(claims, key)
    const record = { jti, exp, sub, client_id, ...(sid === undefined ? {} : { sid }) }
    await this.#services.tokens.register(tenant, record)
    this.#services.metrics.count('knell_tokens_issued_total')
    return { accessToken, claims }
  }
}

function toClaims(iss: string, grant: Grant): GrantClaims {
  const { sub, client_id, aud, sid, scope, claims = {} } = grant
  const jti = randomBytes(16).toString('base64url')
  return {
    ...claims,
    iss,
    sub,
    aud,
    client_id,
    jti,
    sid,
    ...(scope === undefined ? {} : { scope }),
  }
}

/** A token that lives longer than any rule is kept would be refused everywhere. */
function assertShort(seconds: number, longest: number | undefined): void {
  if (longest === undefined || seconds <= longest) return
  throw new KnellError(
    'token_too_long_lived',
    `A token of ${seconds} s would live longer than the tenant's maximum of ${longest} s; shorten ACCESS_TTL or expiresIn, or raise the maximum with PUT /v1/max-token-ttl.`,
  )
}

/** Whether it is only the key that a rule has killed: signed with another one the token would be good. */
function isOfKey(
  claims: Claims,
  iat: number,
  { kid }: SigningKey,
  { table }: CoveringRules,
): boolean {
  const isDead = table.verdict({ iat }, { kid })?.code === 'revoked'
  return isDead && table.verdict({ ...claims, iat }, {}) === undefined
}

function refused({ code, reason }: { code: string; reason?: string }): KnellError {
  return new KnellError(
    'grant_refused',
    `A live rule covers what would be issued: ${code}${reason === undefined ? '' : ` (${reason})`}.`,
    { details: { decision: code, ...(reason === undefined ? {} : { reason }) } },
  )
}

export function doesNotIssue(tenant: string): KnellError {
  return new KnellError(
    'no_verification_key',
    `Tenant "${tenant}" issues no tokens: it has no issuer, or a provider of its own publishes its keys.`,
  )
}
