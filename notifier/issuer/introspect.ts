import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { ApiKey } from '../../shared/config/api-keys.ts'
import type { OAuthClient } from '../../shared/config/clients.ts'
import type { Settings } from '../../shared/config/settings.ts'
import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import { audiencesOf, type Claims } from '../../shared/domain/claims.ts'
import { isRecord } from '../../shared/domain/entry.ts'
import { isKnellError, KnellError } from '../../shared/domain/errors.ts'
import { parseRefreshToken } from '../../shared/domain/refresh-token.ts'
import { DEFAULT_TENANT } from '../../shared/domain/tenant.ts'
import { Cap } from '../../shared/http/cap.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { tenantOf, type Services } from '../../shared/http/services.ts'
import type { VerifiedClaims } from '../../shared/tokens/verifier.ts'
import { tenantNamed } from '../tenant-named.ts'
import type { KnownSessions } from './known-sessions.ts'
import { formOf, formSchema } from './oauth-form.ts'
import type { OAuthRoom } from './oauth-room.ts'
import { readLive } from './token-facts.ts'

const tokenForm = formSchema({ token: z.string(), token_type_hint: z.string().optional() })

/** What the calls of this file take. */
export const introspectTakes: Takes = {
  'POST /oauth/introspect': { form: tokenForm },
}

/** Who asks: a client, or a service with an API key. */
type Asker = { readonly client: OAuthClient } | { readonly key: ApiKey }
type Told = Readonly<Record<string, unknown>>

/** Claims that an answer repeats (RFC 7662, section 2.2); `sid` is ours. */
const TEXTS = ['scope', 'client_id', 'username', 'sub', 'iss', 'jti', 'sid']
const TIMES = ['exp', 'iat', 'nbf']

/** `POST /oauth/introspect` (RFC 7662): what a token is, and nothing at all of one that is not live. */
export function addIntrospectRoute(
  { app, clients }: OAuthRoom,
  services: Services,
  sessions: KnownSessions,
): void {
  const { settings } = services
  const isStateful = settings.issuer?.isStateful === true
  const calls = new Cap(app.limits.callsPerKey, 'calls')

  /** @throws KnellError `unauthorized`, `forbidden`, `invalid_client`, `unauthorized_client`, … */
  function askerOf(request: FastifyRequest, reply: FastifyReply): Asker {
    if (isOfKey(request, app.auth.keys() === 'open')) {
      const key = app.auth.require(request, 'feed:read')
      calls.takeFor(key.name, reply.raw)
      return { key }
    }
    const client = clients.authenticate(request, reply)
    if (client.mayIntrospect) return { client }
    throw new KnellError('unauthorized_client', 'This client may not ask what tokens are.')
  }

  function tenantFor(request: FastifyRequest, asker: Asker, token: string): TenantSettings {
    if ('client' in asker) return tenantOf(settings, asker.client.tenant)
    return app.auth.tenant(request, tenantOfKey(settings, asker.key, token), 'feed:read')
  }

  async function told(tenant: TenantSettings, asker: Asker, token: string): Promise<Told> {
    const client = 'client' in asker ? asker.client : undefined
    if (parseRefreshToken(token) !== undefined) {
      const sent = client && { refreshToken: token, clientId: client.clientId }
      const session = sent && (await sessions.told(tenant, sent))
      return session === undefined ? INACTIVE : answerOf(session)
    }
    const claims = await readLive(services, tenant, token, isStateful)
    return claims !== undefined && isFor(client, claims)
      ? { ...answerOf(claims), ...bindingOf(claims) }
      : INACTIVE
  }

  app.post('/oauth/introspect', { config: { isOpen: true } }, async (request, reply) => {
    const asker = askerOf(request, reply)
    const { token } = formOf(request).read(tokenForm)
    const answer = await told(tenantFor(request, asker, token), asker, token)
    return reply.header('cache-control', 'no-store').send(answer)
  })
}

const INACTIVE: Told = { active: false }

/** An API key comes as a bearer token; where authentication is off, also nothing at all stands for one. */
function isOfKey(request: FastifyRequest, isOpen: boolean): boolean {
  const { authorization } = request.headers
  const form = formOf(request)
  if (/^bearer /i.test(authorization ?? '')) {
    if (form.get('client_secret') === undefined) return true
    throw new KnellError('invalid_request', 'Authenticate as a client, or by an API key.')
  }
  return isOpen && authorization === undefined && form.get('client_id') === undefined
}

/** The tenant of whose issuer the token is; one that the key may use in any case, so that what it asks is never refused for its token. */
function tenantOfKey(settings: Settings, key: ApiKey, token: string): string {
  let named = DEFAULT_TENANT
  try {
    named = tenantNamed(settings, key, { token })
  } catch (error) {
    if (!isKnellError(error)) throw error
  }
  const usable = [named, ...settings.tenants.keys()]
  return usable.find((tenant) => key.mayUse(tenant) && settings.tenants.has(tenant)) ?? named
}

/** A client with audiences learns only of tokens for one of them. */
function isFor(client: OAuthClient | undefined, claims: VerifiedClaims): boolean {
  const { audiences } = client ?? {}
  return audiences === undefined || audiencesOf(claims).some((each) => audiences.has(String(each)))
}

function answerOf(claims: Claims): Told {
  const told = [...TEXTS, ...TIMES].flatMap((name): [string, unknown][] => {
    const value = claims[name]
    if (TEXTS.includes(name)) return typeof value === 'string' ? [[name, value]] : []
    // A time may have a fraction; here it is an integer.
    return typeof value === 'number' ? [[name, Math.floor(value)]] : []
  })
  const { aud } = claims
  return { active: true, ...Object.fromEntries(told), ...(aud === undefined ? {} : { aud }) }
}

/** How an access token is to be sent. One that is bound to a key (RFC 8705, RFC 9449) must not pass for one that is not. */
function bindingOf({ cnf }: Claims): Told {
  if (!isRecord(cnf)) return { token_type: 'Bearer' }
  return { token_type: 'jkt' in cnf ? 'DPoP' : 'Bearer', cnf }
}
