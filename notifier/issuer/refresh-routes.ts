import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Match } from '../../shared/domain/claims.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import { saidBy } from '../../shared/http/audit.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { parseWith, reasonSchema, tenantSchema } from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'
import { noteSchema } from '../change-request.ts'
import type { SessionParts } from './session-parts.ts'
import { idSchema, ownClaimsSchema, refreshedAnswerOf, scopeSchema } from './sessions.ts'

/** Whatever is longer is no refresh token of ours. */
const sentSchema = z.string().min(1).max(1024)

const lookupBody = z.strictObject({
  tenant: tenantSchema,
  refreshToken: sentSchema,
  client_id: idSchema,
})

const refreshBody = lookupBody.extend({
  scope: scopeSchema.optional(),
  claims: ownClaimsSchema.optional(),
})

const endBody = z.strictObject({
  tenant: tenantSchema,
  sid: idSchema.optional(),
  refreshToken: sentSchema.optional(),
  client_id: idSchema.optional(),
  reason: reasonSchema,
  by: noteSchema,
  note: noteSchema,
})

/** What the calls of this file take. */
export const refreshTakes: Takes = {
  'POST /v1/sessions/lookup': { body: lookupBody },
  'POST /v1/sessions/refresh': { body: refreshBody },
  'POST /v1/sessions/end': { body: endBody },
}

/** `POST /v1/sessions/lookup`, `/refresh` and `/end`: what a login service calls for a session that it began. */
export function addRefreshRoutes(
  app: FastifyInstance,
  { audit, log }: Services,
  { refreshing, known, end }: SessionParts,
): void {
  app.post('/v1/sessions/lookup', async (request, reply) => {
    const body = parseWith(lookupBody, request.body, 'body')
    const settings = app.auth.tenant(request, body.tenant, 'tokens:issue')
    const { refreshToken, client_id: clientId } = body
    const { facts, startedAt, endsAt } = await refreshing.look(settings, { refreshToken, clientId })
    const { seconds: _, ...shown } = facts
    return reply.header('cache-control', 'no-store').send({ ...shown, startedAt, endsAt })
  })

  app.post('/v1/sessions/refresh', async (request, reply) => {
    const body = parseWith(refreshBody, request.body, 'body')
    const settings = app.auth.tenant(request, body.tenant, 'tokens:issue')
    const { client_id: clientId, ...sent } = body
    const refreshed = await refreshing.refresh(settings, { ...sent, clientId })
    return reply.header('cache-control', 'no-store').send(refreshedAnswerOf(refreshed))
  })

  app.post('/v1/sessions/end', { config: { action: 'revoke' } }, async (request) => {
    const body = parseWith(endBody, request.body, 'body')
    const settings = app.auth.tenant(request, body.tenant, 'tokens:issue')
    const { refreshToken, client_id: clientId, reason = 'logout', by, note } = body
    if ((body.sid === undefined) === (refreshToken === undefined)) {
      throw new KnellError('invalid_request', 'Send either sid or refreshToken.')
    }
    if (refreshToken !== undefined && clientId === undefined) {
      throw new KnellError('invalid_request', 'Send the client_id of the refresh token with it.')
    }
    const session =
      refreshToken === undefined || clientId === undefined
        ? undefined
        : await known.sessionOf(settings, { refreshToken, clientId })
    const sid = session?.sid ?? body.sid
    if (sid === undefined) {
      throw new KnellError('refresh_token_invalid', 'The refresh token is not valid.')
    }
    const match: Match = { sid }
    const key = app.auth.caller(request)
    const act = audit.act(request, key, { action: 'revoke', by, note, reason, match })
    const { ids, shard, epoch, seq, issuedBefore, until } = await end.end(
      settings,
      sid,
      reason,
      act,
    )
    log.info({ id: ids[0], tenant: settings.tenant, reason, by: saidBy(request, by) }, 'revoked')
    return { id: ids[0], sid, shard, epoch, seq, issuedBefore, until }
  })
}
