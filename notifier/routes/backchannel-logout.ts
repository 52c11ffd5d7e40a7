import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import { matchKey, type Match } from '../../shared/domain/claims.ts'
import { isKnellError, KnellError } from '../../shared/domain/errors.ts'
import { DEFAULT_TENANT } from '../../shared/domain/tenant.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { Failures } from '../../shared/http/failures.ts'
import { parseWith, tenantSchema } from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'
import type { RevokeChange } from '../../shared/store/changes.ts'
import { livesOf } from '../../shared/store/lives.ts'
import type { LogoutToken } from '../../shared/tokens/logout-token.ts'
import { digest } from '../change-request.ts'
import { cutSlowBody } from '../cut-slow-body.ts'
import { thisMoment } from '../../shared/process/this-moment.ts'

const PATH = '/v1/backchannel-logout'
const FORM = 'application/x-www-form-urlencoded'
/** A token of 16 KiB, and what a provider may add. */
const BODY_LIMIT = 32_768

const query = z.strictObject({ tenant: tenantSchema })

/** What the call of this file takes. Other parameters of the form are ignored, as the standard has it. */
export const backchannelLogoutTakes: Takes = {
  [`POST ${PATH}`]: { query, form: z.object({ logout_token: z.string() }) },
}

/**
 * `POST /v1/backchannel-logout` (OpenID Connect Back-Channel Logout 1.0 incorporating errata set 1):
 * what a provider says has been logged out is revoked. Who calls is proved by the token.
 */
export function addBackchannelLogoutRoute(root: FastifyInstance, services: Services): void {
  const { log, health, limits } = { ...services, limits: root.limits }
  const failures = new Failures(limits.failures, limits.failuresWindowMs)
  // Only here may a body be a form, which any web page can have a browser send.
  void root.register((app, _options, done) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(FORM, { parseAs: 'string', bodyLimit: BODY_LIMIT }, (_, text, done) =>
      done(null, new URLSearchParams(String(text))),
    )
    app.setErrorHandler((error: FastifyError | KnellError, request, reply) => {
      const known = ofForm(error)
      if (known.status >= 500) log.warn({ err: error, requestId: request.id }, known.code)
      else log.debug({ code: known.code }, 'a logout token was refused')
      void answer(reply, known)
    })
    app.addHook('onRequest', async (request) => {
      health.assertServing()
      cutSlowBody(request)
      await Promise.resolve()
    })
    app.post('/v1/backchannel-logout', { config: { isOpen: true } }, async (request, reply) => {
      const settings = receiverOf(services, request)
      const now = services.store.clock.earliest(thisMoment()) / 1000
      let logout: LogoutToken | undefined
      try {
        logout = await services.verifiers.verifyLogout(settings, tokenIn(request.body), now)
      } catch (error) {
        throw refusalOf(error, failures, request)
      }
      if (logout === undefined) throw takesNone()
      await revoke(services, request, settings, logout, now)
      return reply.header('cache-control', 'no-store').send({})
    })
    done()
  })
}

/** The tenant, where it takes logout tokens; a stranger does not learn which tenants there are. @throws KnellError `not_found` */
function receiverOf({ settings }: Services, request: FastifyRequest): TenantSettings {
  const { tenant = DEFAULT_TENANT } = parseWith(query, request.query, 'query')
  const found = settings.tenants.get(tenant)
  if (found?.logoutAudience === undefined) throw takesNone()
  return found
}

function takesNone(): KnellError {
  return new KnellError(
    'not_found',
    'No logout tokens are taken here: no such tenant, or it has no LOGOUT_AUDIENCE.',
  )
}

/** @throws KnellError `invalid_request` */
function tokenIn(body: unknown): string {
  const sent = body instanceof URLSearchParams ? body.getAll('logout_token') : []
  const [token] = sent
  if (token !== undefined && sent.length === 1) return token
  throw new KnellError('invalid_request', 'Send logout_token once, in a form.')
}

/** What is refused is counted by address, so that guessing costs time; a good token is taken whatever failed before. */
function refusalOf(error: unknown, failures: Failures, request: FastifyRequest): unknown {
  if (!isKnellError(error) || error.status >= 500) return error
  const waitMs = failures.add(request.ip ?? '', performance.now())
  if (waitMs === 0) return error
  return new KnellError('too_many_requests', 'Too many bad logout tokens came from this address.', {
    retryAfterSeconds: Math.ceil(waitMs / 1000),
  })
}

/** Commits what the token says, once for each `jti`: a provider, or whoever kept a copy, may send it again. */
async function revoke(
  services: Services,
  request: FastifyRequest,
  settings: TenantSettings,
  { jti, iat, sub, sid }: LogoutToken,
  now: number,
): Promise<void> {
  const { tenant, issuer = '' } = settings
  const match: Match = sid === undefined ? { sub: String(sub) } : { sid }
  const change: RevokeChange = {
    op: 'revoke',
    match,
    reason: 'logout',
    ...(await livesOf(services, settings)),
    // Whoever logs in again is not logged out by a copy of this token.
    ...(sid === undefined ? { issuedBefore: Math.min(iat, Math.floor(now)) } : {}),
  }
  const { issuedBefore } = change
  const details = { logoutToken: jti, issuedBefore }
  const act = services.audit.signedAct(
    request,
    { action: 'revoke', match, reason: 'logout', details },
    issuer,
  )
  const idempotency = {
    key: digest(`backchannel-logout\n${tenant}\n${jti}`),
    body: digest(matchKey(match)),
  }
  const { ids } = await services.rules.revoke(tenant, change, { act, idempotency })
  services.metrics.count('knell_revocations_accepted_total', { kind: 'revoked' })
  services.log.info({ id: ids[0], tenant, reason: 'logout', by: issuer }, 'revoked')
}

/** What Fastify says of a body, as one of our errors. */
function ofForm(error: FastifyError | KnellError): KnellError {
  if (isKnellError(error)) return error
  const { statusCode = 500 } = error
  if (statusCode >= 500) return new KnellError('internal', 'Internal error', { cause: error })
  const text = `Send logout_token as ${FORM}, of at most ${BODY_LIMIT} bytes.`
  return new KnellError('invalid_request', text, { cause: error })
}

/** A provider sends again what failed with 503; what is wrong with the token is a 400 (section 2.8). */
function answer(reply: FastifyReply, error: KnellError): FastifyReply {
  const { code, message, retryable, retryAfterSeconds = 1 } = error
  const kept = [404, 429].includes(error.status) || error.status >= 500
  if (retryable) void reply.header('retry-after', String(retryAfterSeconds))
  return reply
    .status(kept ? error.status : 400)
    .header('cache-control', 'no-store')
    .send({
      error: error.status >= 500 ? 'temporarily_unavailable' : 'invalid_request',
      error_description: code === 'internal' ? 'Something went wrong on our side.' : message,
      code,
    })
}
