import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Claims, Header } from '../../domain/claims.ts'
import { judge, type Decision } from '../../domain/decision.ts'
import { KnellError } from '../../domain/errors.ts'
import { WIRE_VERSION } from '../../domain/entry.ts'
import { tokenDigestOf } from '../../signing/digest.ts'
import { readCoveringRules } from '../../store/covering-rules.ts'
import type { Takes } from '../calls/call.ts'
import { shownRule } from '../shown-rule.ts'
import { nonceSchema, parseWith, tenantSchema } from '../schemas.ts'
import type { Services } from '../services.ts'

const checkBody = z.strictObject({
  claims: z.record(z.string(), z.unknown()),
  header: z.record(z.string(), z.unknown()).optional(),
  tenant: tenantSchema,
  nonce: nonceSchema,
  explain: z.boolean().optional(),
})

/** What the calls of this file take. */
export const checkTakes: Takes = {
  'POST /v1/check': { body: checkBody },
}

/** `POST /v1/check`: the decision of the store itself, for callers without a view. */
export function addCheckRoute(app: FastifyInstance, services: Services): void {
  app.post('/v1/check', async (request, reply) => {
    const body = parseWith(checkBody, request.body, 'body')
    const { claims, header, tenant: named, nonce, explain = false } = body
    const { tenant, issuer } = app.auth.tenant(request, named, 'feed:read')
    if (issuer !== undefined && claims['iss'] !== undefined && claims['iss'] !== issuer) {
      throw new KnellError(
        'token_wrong_issuer',
        'The claims are of another issuer than this tenant’s.',
      )
    }
    const { decision, rules } = await decide(services, tenant, claims, header)
    // As they came: what the schema made of them may be spelt otherwise.
    const sent = request.body as z.infer<typeof checkBody>
    const asked = { tenant: named, nonce, sha256: tokenDigestOf(sent.claims, sent.header) }
    const envelope = services.signer?.signed('decision', {
      v: WIRE_VERSION,
      tenant,
      asked,
      decision,
    })
    return reply.header('cache-control', 'no-store').send({
      ...decision,
      ...(explain ? { rules } : {}),
      ...(envelope === undefined ? {} : { envelope }),
    })
  })
}

/** What the store says of a token whose signature has been verified, and the rules that name any claim of it. */
export async function decide(
  services: Services,
  tenant: string,
  claims: Claims,
  header: Header | undefined,
): Promise<{ decision: Decision; rules: readonly object[] }> {
  const read = await readCoveringRules(services, tenant, claims, header)
  const verdict = judge(claims, header, read.at / 1000, read.steps, read.table)
  const decision: Decision = {
    active: verdict.code === 'active',
    ...verdict,
    asOf: read.at,
    staleMs: 0,
    decidedBy: 'store',
  }
  return { decision, rules: read.found.map(({ shard, stored }) => shownRule(shard, stored)) }
}
