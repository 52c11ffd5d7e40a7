import { randomUUID } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { OAuthClient } from '../../shared/config/clients.ts'
import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import type { Match } from '../../shared/domain/claims.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import { LEEWAY_SECONDS } from '../../shared/domain/max-token-ttl.ts'
import { parseRefreshToken } from '../../shared/domain/refresh-token.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { tenantOf, type Services } from '../../shared/http/services.ts'
import type { RevokeChange } from '../../shared/store/changes.ts'
import { livesOf } from '../../shared/store/lives.ts'
import type { KnownSessions } from './known-sessions.ts'
import { formOf, formSchema } from './oauth-form.ts'
import type { OAuthRoom } from './oauth-room.ts'
import { readProven } from './token-facts.ts'

const tokenForm = formSchema({ token: z.string(), token_type_hint: z.string().optional() })

/** What the calls of this file take. */
export const revokeTakes: Takes = {
  'POST /oauth/revoke': { form: tokenForm },
}

/** What is to die for a token to be dead. */
interface Doomed {
  readonly match: Match
  readonly verifiedExp?: number
  /** What remains to be done once it is dead. */
  readonly end?: () => Promise<void>
}

/**
 * `POST /oauth/revoke` (RFC 7009): a client ends a token of its own. 200 says that the token is dead
 * now, or was no live token of the client's before; which of these, nobody learns, neither from the
 * answer nor from its time.
 */
export function addRevokeRoute(
  { app, clients }: OAuthRoom,
  services: Services,
  sessions: KnownSessions,
): void {
  const { rules, audit, metrics, log } = services

  async function doomedBy(
    settings: TenantSettings,
    client: OAuthClient,
    token: string,
  ): Promise<Doomed | undefined> {
    const { clientId } = client
    if (parseRefreshToken(token) !== undefined) {
      const session = await sessions.sessionOf(settings, { refreshToken: token, clientId })
      return session && { match: { sid: session.sid }, end: () => session.end() }
    }
    const proven = await readProven(services, settings, token)
    if (proven?.claims.client_id !== clientId) return undefined
    const { jti, exp } = proven.claims
    // A service whose clock is behind may take it for so long.
    const isOver = exp + LEEWAY_SECONDS <= (await services.store.now(settings.tenant)) / 1000
    if (isOver) return undefined
    if (jti !== undefined) return { match: { jti }, verifiedExp: exp }
    throw new KnellError(
      'unsupported_token_type',
      'The token has no jti, so it cannot be revoked alone.',
    )
  }

  async function end(
    request: FastifyRequest,
    settings: TenantSettings,
    client: OAuthClient,
    doomed: Doomed | undefined,
  ): Promise<void> {
    const { tenant } = settings
    const { match = { jti: randomUUID() }, verifiedExp } = doomed ?? {}
    const change: RevokeChange = {
      op: 'revoke',
      match,
      reason: 'logout',
      ...(verifiedExp === undefined ? {} : { verifiedExp }),
      ...(await livesOf(services, settings)),
    }
    if (doomed === undefined) {
      // The store does the same work, and nothing comes of it.
      await rules.preview(tenant, change)
      return
    }
    const act = audit.act(request, client, { action: 'revoke', match, reason: 'logout' })
    const { ids } = await rules.revoke(tenant, change, { act })
    await doomed.end?.()
    metrics.count('knell_revocations_accepted_total', { kind: 'revoked' })
    log.info({ id: ids[0], tenant, client: client.clientId, reason: 'logout' }, 'revoked')
  }

  const options = { config: { isOpen: true, action: 'revoke' } } as const
  app.post('/oauth/revoke', options, async (request, reply) => {
    const client = clients.authenticate(request, reply)
    const { token } = formOf(request).read(tokenForm)
    const settings = tenantOf(services.settings, client.tenant)
    await end(request, settings, client, await doomedBy(settings, client, token))
    return reply.header('cache-control', 'no-store').send()
  })
}
