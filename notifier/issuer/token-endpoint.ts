import { KnellError } from '../../shared/domain/errors.ts'
import { tenantOf, type Services } from '../../shared/http/services.ts'
import { formOf } from './oauth-form.ts'
import type { OAuthRoom } from './oauth-room.ts'
import type { Refreshing } from './refreshing.ts'
import { refreshedAnswerOf, scopeSchema } from './sessions.ts'

/**
 * `POST /oauth/token` (RFC 6749, section 6): a client refreshes its own session. Sessions begin at
 * `POST /v1/sessions`, so no other grant is served.
 */
export function addTokenEndpoint(
  { app, clients }: OAuthRoom,
  { settings }: Services,
  refreshing: Refreshing,
): void {
  app.post('/token', { config: { isOpen: true } }, async (request, reply) => {
    const { clientId, tenant } = clients.authenticate(request, reply)
    const form = formOf(request)
    if (form.need('grant_type') !== 'refresh_token') {
      throw new KnellError('unsupported_grant_type', 'Only grant_type=refresh_token is served.')
    }
    const refreshToken = form.need('refresh_token')
    const scope = form.get('scope')
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
