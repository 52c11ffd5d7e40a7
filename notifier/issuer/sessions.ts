import type { FastifyInstance } from 'fastify'
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { problemOfId } from '../../shared/domain/claims.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { parseWith, tenantSchema } from '../../shared/http/schemas.ts'
import { RESERVED_CLAIMS } from '../../shared/tokens/sign-access-token.ts'
import type { Services } from '../../shared/http/services.ts'
import type { Issued, Issuing } from './issuing.ts'
import type { Refreshed } from './refreshing.ts'
import type { SessionStart } from './session-start.ts'

/** A text that a claim may be. */
export const idSchema: z.ZodType<string> = z
  .string()
  .min(1)
  .max(256)
  .refine((text) => problemOfId(text) === undefined, 'must have no control characters')

const MAX_CLAIMS_BYTES = 4096
const MAX_SECONDS = 24 * 3600

/** Claims of the issuer's own: none of those that Knell or RFC 9068 give a meaning. */
export const ownClaimsSchema: z.ZodType<Record<string, unknown>> = z
  .record(z.string(), z.unknown())
  .refine(
    (claims) => !RESERVED_CLAIMS.some((name) => Object.hasOwn(claims, name)),
    `must not name ${RESERVED_CLAIMS.join(', ')}`,
  )
  .refine((claims) => !Object.hasOwn(claims, '__proto__'), 'must not name __proto__')
  .refine(
    (claims) => Buffer.byteLength(JSON.stringify(claims)) <= MAX_CLAIMS_BYTES,
    `must be at most ${MAX_CLAIMS_BYTES} bytes of JSON`,
  )

/** RFC 6749, section 3.3. */
export const scopeSchema: z.ZodType<string> = z
  .string()
  .max(1024)
  .regex(
    /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/,
    'must be words parted by spaces',
  )

const sessionBody = z.strictObject({
  tenant: tenantSchema,
  sub: idSchema,
  client_id: idSchema,
  aud: z.union([idSchema, z.array(idSchema).min(1).max(16)]),
  sid: idSchema.optional(),
  scope: scopeSchema.optional(),
  claims: ownClaimsSchema.optional(),
  expiresIn: z.int().min(1).max(MAX_SECONDS).optional(),
  refresh: z.boolean().default(true),
})

/** What the calls of this file take. */
export const sessionTakes: Takes = {
  'POST /v1/sessions': { body: sessionBody },
}

/** `POST /v1/sessions`: what a login service calls once it knows who the user is. */
export function addSessionRoutes(
  app: FastifyInstance,
  { health }: Services,
  issuing: Issuing,
  start: SessionStart,
): void {
  app.post('/v1/sessions', async (request, reply) => {
    const body = parseWith(sessionBody, request.body, 'body')
    const settings = app.auth.tenant(request, body.tenant, 'tokens:issue')
    health.assertRoom()
    const { sub, client_id, aud, scope, claims, expiresIn: seconds } = body
    const grant = { sub, client_id, aud, scope, claims, seconds }
    void reply.status(201).header('cache-control', 'no-store')
    if (body.refresh) {
      return refreshedAnswerOf(await start.begin(settings, { ...grant, sid: body.sid }))
    }
    const sid = body.sid ?? randomBytes(16).toString('base64url')
    return answerOf(await issuing.issue(settings, { ...grant, sid }))
  })
}

/** A successful answer (RFC 6749, section 5.1), with what the caller may want to know of the token. */
export interface TokenAnswer {
  readonly access_token: string
  readonly token_type: 'Bearer'
  readonly expires_in: number
  readonly scope?: string
  readonly sid?: string
  readonly jti: string
}

function answerOf({ accessToken, claims }: Issued): TokenAnswer {
  const { exp, iat, sid, jti, scope } = claims
  return {
    access_token: accessToken,
    token_type: 'Bearer',
    expires_in: exp - iat,
    ...(scope === undefined ? {} : { scope }),
    ...(sid === undefined ? {} : { sid }),
    jti,
  }
}

/** The same with a refresh token. */
export interface RefreshedAnswer extends TokenAnswer {
  readonly refresh_token: string
  /** Seconds after which the session ends, however often it is refreshed. */
  readonly refresh_expires_in: number
}

export function refreshedAnswerOf(refreshed: Refreshed): RefreshedAnswer {
  const { refreshToken, endsAt, claims } = refreshed
  return {
    ...answerOf(refreshed),
    refresh_token: refreshToken,
    refresh_expires_in: Math.max(0, endsAt - claims.iat),
  }
}
