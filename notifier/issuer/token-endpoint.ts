import { z } from 'zod'
import { KnellError } from '../../shared/domain/errors.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { tenantOf, type Services } from '../../shared/http/services.ts'
import { formOf, formSchema } from './oauth-form.ts'
import type { OAuthRoom } from './oauth-room.ts'
import type { Refreshing } from './refreshing.ts'
import { refreshedAnswerOf, scopeSchema } from './sessions.ts'

const grantForm = formSchema({
  grant_type: z.string(),
  refresh_token: z.string().optional(),
  scope: z.string().optional(),
})

/** What the calls of this file take. */
export const tokenTakes: Takes = {
  'POST /oauth/token': { form: grantForm },
}

/**
 * `POST /oauth/token` (RFC 6749, section 6): a client refreshes its own session. Sessions begin at
 * `POST /v1/sessions`, so no other grant is served.
 */
export function addTokenEndpoint(
  { app, clients }: OAuthRoom,
  { settings }: Services,
  refreshing: Refreshing,
): void {
  app.post('/oauth/token', { config: { isOpen: true } }, async (request, reply) => {
    const { clientId, tenant } = clients.authenticate(request, reply)
    const { grant_type, refresh_token: refreshToken, scope } = formOf(request).read(grantForm)
    if (grant_type !== 'refresh_token') {
      throw new KnellError('unsupported_grant_type', 'Only grant_type=refresh_token is served.')
    }
    if (refreshToken === undefined) {
      throw new KnellError('invalid_request', 'The parameter refresh_token is missing.')
    }
    if (scope !== undefined && !scopeSchema.safeParse(scope).success) {
      throw new KnellError('invalid_scope', 'The scope must be words parted by spaces.')
    }
    const refreshed = await refreshing.refresh(tenantOf(settings, tenant), {
      refreshToken,
      clientId,
      scope,
    })
    const { jti: _, sid: __, ...answer } = refreshedAnswerOf(refreshed)
    // RFC 6749, section 5.1.
    return reply.header('cache-control', 'no-store').header('pragma', 'no-cache').send(answer)
  })
}
