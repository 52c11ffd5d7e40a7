import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseDuration } from '../../shared/config/duration.ts'
import { isKnellError } from '../../shared/domain/errors.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { parseWith, tenantSchema } from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'
import { changeMaxTokenTtl } from '../../shared/store/facts.ts'

const MAX_SECONDS = 366 * 86_400

const bodySchema = z.strictObject({
  tenant: tenantSchema,
  maxTokenTtl: z.string().transform((text, context) => {
    try {
      const seconds = parseDuration(text) / 1000
      if (Number.isInteger(seconds) && seconds >= 1 && seconds <= MAX_SECONDS) return seconds
      context.addIssue({ code: 'custom', message: 'must be whole seconds from 1s to 366d' })
    } catch (error) {
      context.addIssue({ code: 'custom', message: isKnellError(error) ? error.message : 'bad' })
    }
    return z.NEVER
  }),
})

/** What the calls of this file take. */
export const maxTokenTtlTakes: Takes = {
  'PUT /v1/max-token-ttl': { body: bodySchema },
}

/**
 * `PUT /v1/max-token-ttl`: changes how long the tenant's tokens may live, which settings only seed.
 * A shorter life is in force at once; a longer one takes force when the old one and 60 s have passed.
 */
export function addMaxTokenTtlRoute(app: FastifyInstance, { store, audit, log }: Services): void {
  app.put('/v1/max-token-ttl', { config: { action: 'max-token-ttl' } }, async (request) => {
    const { tenant: named, maxTokenTtl } = parseWith(bodySchema, request.body, 'body')
    const { tenant } = app.auth.tenant(request, named, 'ops:write')
    const key = app.auth.caller(request)
    const asked = { action: 'max-token-ttl', details: { seconds: maxTokenTtl } } as const
    const act = audit.act(request, key, asked)
    const { steps, changed } = await changeMaxTokenTtl(store, tenant, maxTokenTtl, act)
    if (!changed) {
      const result = { ok: true, changed, maxTokenTtl: steps }
      await audit.record(request, key, tenant, asked, result)
    }
    log.info({ tenant, steps }, 'the longest token life was changed')
    return { tenant, maxTokenTtl: steps }
  })
}
