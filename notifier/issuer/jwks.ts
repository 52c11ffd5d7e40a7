import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Settings } from '../../shared/config/settings.ts'
import { isIssuing } from '../../shared/config/tenant-settings.ts'
import { PUBLISHED_SECONDS, verifies, type SigningRing } from '../../shared/domain/key-ring.ts'
import { tenantOf } from '../../shared/http/services.ts'
import type { KeyRings } from '../../shared/keys/key-rings.ts'
import { isKnellError, KnellError } from '../../shared/domain/errors.ts'
import { DEFAULT_TENANT } from '../../shared/domain/tenant.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { parseWith, tenantSchema } from '../../shared/http/schemas.ts'

/** Long enough to spare this process, and no longer than the next key is published before it signs. */
const MAX_AGE_SECONDS = PUBLISHED_SECONDS

const tenantQuery = z.strictObject({ tenant: tenantSchema })

/** What the calls of this file take. */
export const jwksTakes: Takes = {
  'GET /.well-known/jwks.json': { query: tenantQuery },
}

/** `GET /.well-known/jwks.json`: the public keys of a tenant (RFC 7517, section 5). An HMAC secret is never among them. */
export function addJwksRoutes(app: FastifyInstance, settings: Settings, rings: KeyRings): void {
  const last = new Map<string, string>()
  const answer = async (tenant: string): Promise<{ text: string; etag: string }> => {
    if (!isIssuing(tenantOf(settings, tenant)))
      throw new KnellError('not_found', 'This tenant issues no tokens.')
    const text = await rings.start(tenant).then(textOf, (error: unknown) => {
      // Public keys are worth telling while the store is away; a revoked one verifies nothing that lives.
      const known = isKnellError(error, 'store_unavailable') ? last.get(tenant) : undefined
      if (known === undefined) throw error
      return known
    })
    last.set(tenant, text)
    return { text, etag: `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"` }
  }
  const send = async (request: FastifyRequest, reply: FastifyReply, tenant: string) => {
    const { text, etag } = await answer(tenant)
    void reply.header('cache-control', `public, max-age=${MAX_AGE_SECONDS}`).header('etag', etag)
    if (request.headers['if-none-match'] === etag) return reply.status(304).send()
    return reply.type('application/jwk-set+json').send(text)
  }
  app.get('/.well-known/jwks.json', { config: { isOpen: true } }, (request, reply) => {
    const { tenant = DEFAULT_TENANT } = parseWith(tenantQuery, request.query, 'query')
    return send(request, reply, tenant)
  })
}

/** The key that is next, then the one that signs, then the others, the newest first: whoever reads only some reads those. */
function textOf({ keys }: SigningRing): string {
  const shown = keys.filter(verifies).flatMap(({ jwk }) => (jwk === undefined ? [] : [jwk]))
  return JSON.stringify({ keys: shown.toReversed() })
}
