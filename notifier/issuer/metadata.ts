import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Settings } from '../../shared/config/settings.ts'
import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import { DEFAULT_TENANT } from '../../shared/domain/tenant.ts'

const WELL_KNOWN = '/.well-known/oauth-authorization-server'
const MAX_AGE_SECONDS = 300
const BY_SECRET = ['client_secret_basic', 'client_secret_post']

/** The calls by the names that RFC 8414 has for them, and how their callers authenticate. */
const endpoints: Readonly<Record<string, readonly [path: string, methods: readonly string[]]>> = {
  token_endpoint: ['/oauth/token', [...BY_SECRET, 'none']],
  revocation_endpoint: ['/oauth/revoke', [...BY_SECRET, 'none']],
  introspection_endpoint: ['/oauth/introspect', [...BY_SECRET, 'Bearer']],
}

/**
 * `GET /.well-known/oauth-authorization-server` (RFC 8414): where the calls of a tenant are. Its issuer
 * is a URL whose origin serves what this process serves; a path in it is asked for behind the
 * well-known one. Which of several tenants is meant, its host decides, and never more than that: no
 * URL of an answer is made of what a caller sends.
 */
export function addMetadataRoute(app: FastifyInstance, { tenants }: Settings): void {
  const issuers = [...tenants.values()].flatMap((settings) => {
    const url = issuerUrlOf(settings)
    return url === undefined ? [] : [{ settings, url }]
  })
  const answer = (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const asked = pathOf(request.url.split('?')[0]?.slice(WELL_KNOWN.length) ?? '')
    const fitting = issuers.filter(({ url }) => pathOf(url.pathname) === asked)
    const found =
      fitting.length > 1 ? fitting.find(({ url }) => url.host === request.host) : fitting[0]
    if (found === undefined) {
      throw new KnellError('not_found', 'No tenant has an issuer of this path that is a URL.')
    }
    return reply
      .header('cache-control', `public, max-age=${MAX_AGE_SECONDS}`)
      .type('application/json')
      .send(metadataOf(found.settings, found.url, app.calls))
  }
  app.get('/.well-known/oauth-authorization-server', { config: { isOpen: true } }, answer)
  app.get(`${WELL_KNOWN}/*`, { config: { isOpen: true } }, answer)
}

/** RFC 8414, section 2: an issuer without a query and a fragment. */
function issuerUrlOf({ issuer = '' }: TenantSettings): URL | undefined {
  if (!/^https?:\/\//.test(issuer) || /[?#]/.test(issuer) || !URL.canParse(issuer)) return undefined
  return new URL(issuer)
}

/** A slash at the end is none of the path's (RFC 8414, section 3.1). */
function pathOf(path: string): string {
  return path.replace(/\/$/, '')
}

function metadataOf(
  { tenant, issuer }: TenantSettings,
  { origin }: URL,
  calls: readonly string[],
): object {
  const isDefault = tenant === DEFAULT_TENANT
  const jwks = `/.well-known/jwks.json${isDefault ? '' : `?tenant=${tenant}`}`
  const served = Object.entries(endpoints).flatMap(([name, [path, methods]]) =>
    calls.includes(`POST ${path}`)
      ? [
          [name, origin + path],
          [`${name}_auth_methods_supported`, methods],
        ]
      : [],
  )
  return {
    issuer,
    jwks_uri: origin + jwks,
    grant_types_supported: ['refresh_token'],
    // Nobody is sent here to log in.
    response_types_supported: [],
    ...(Object.fromEntries(served) as object),
  }
}
