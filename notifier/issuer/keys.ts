import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { isIssuing, type TenantSettings } from '../../shared/config/tenant-settings.ts'
import { keyNamed, type SigningRing } from '../../shared/domain/key-ring.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { parseWith, reasonSchema, tenantSchema } from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'
import type { KeyRings } from '../../shared/keys/key-rings.ts'
import { livesOf } from '../../shared/store/lives.ts'
import { noteSchema } from '../change-request.ts'
import { doesNotIssue } from './issuing.ts'

const tenantQuery = z.strictObject({ tenant: tenantSchema })
const wordsBody = z.strictObject({
  tenant: tenantSchema,
  by: z.string().max(200).optional(),
  note: noteSchema,
})
const kidSchema = z.string().regex(/^[A-Za-z0-9._-]{1,128}$/, '1 to 128 of A-Z, a-z, 0-9 and . _ -')
const rotateBody = wordsBody.extend({ force: z.boolean().optional() })
const addBody = wordsBody.extend({ kid: kidSchema, jwk: z.record(z.string(), z.unknown()) })
const revokeBody = wordsBody.extend({
  kid: kidSchema,
  reason: reasonSchema,
})

/** What the calls of this file take. */
export const keyTakes: Takes = {
  'GET /v1/keys': { query: tenantQuery },
  'POST /v1/keys': { body: addBody },
  'POST /v1/keys/rotate': { body: rotateBody },
  'POST /v1/keys/revoke': { body: revokeBody },
}

/** What anyone who may look learns of a ring: never a private part, encrypted or not. */
function shownRing(tenant: string, { keys }: SigningRing): object {
  return {
    tenant,
    keys: keys.map((key) => {
      const { kid, alg, state, createdAt, activeAt, endedAt, retiresAt } = key
      return { kid, alg, state, createdAt, activeAt, endedAt, retiresAt }
    }),
  }
}

/** The tenant's name, where it issues. @throws KnellError `no_verification_key` */
function issuing(settings: TenantSettings): string {
  if (!isIssuing(settings)) throw doesNotIssue(settings.tenant)
  return settings.tenant
}

/** `GET` and `POST /v1/keys`, `POST /v1/keys/rotate`, `POST /v1/keys/revoke`: the signing keys of a tenant. */
export function addKeyRoutes(app: FastifyInstance, services: Services, rings: KeyRings): void {
  const { audit, rules, metrics, log } = services
  app.get('/v1/keys', async (request, reply) => {
    const query = parseWith(tenantQuery, request.query, 'query')
    const tenant = issuing(app.auth.tenant(request, query.tenant, 'ops:read', 'keys:write'))
    return reply
      .header('cache-control', 'no-store')
      .send(shownRing(tenant, await rings.read(tenant)))
  })

  app.post('/v1/keys', { config: { action: 'add-key' } }, async (request, reply) => {
    const { tenant: named, kid, jwk, by, note } = parseWith(addBody, request.body, 'body')
    const tenant = issuing(app.auth.tenant(request, named, 'keys:write'))
    const key = app.auth.caller(request)
    const act = audit.act(request, key, { action: 'add-key', by, note, details: { kid } })
    const ring = await rings.add(tenant, jwk, kid, act)
    log.info({ tenant, kid }, 'a key made elsewhere is the next to sign')
    return reply.status(201).send(shownRing(tenant, ring))
  })

  app.post('/v1/keys/rotate', { config: { action: 'rotate-key' } }, async (request) => {
    const sent = parseWith(rotateBody, request.body ?? {}, 'body')
    const { tenant: named, force, by, note } = sent
    const settings = app.auth.tenant(request, named, 'keys:write')
    const tenant = issuing(settings)
    const key = app.auth.caller(request)
    const act = audit.act(request, key, { action: 'rotate-key', by, note })
    const ring = (await rings.rotate(tenant, { act, force })) ?? (await rings.read(tenant))
    log.info({ tenant }, 'another key signs')
    return shownRing(tenant, ring)
  })

  app.post('/v1/keys/revoke', { config: { action: 'revoke-key' } }, async (request) => {
    const {
      tenant: named,
      kid,
      reason = 'key-compromise',
      by,
      note,
    } = parseWith(revokeBody, request.body, 'body')
    const settings = app.auth.tenant(request, named, 'keys:write')
    const tenant = issuing(settings)
    if (keyNamed(await rings.read(tenant), kid) === undefined) {
      throw new KnellError(
        'unknown_key',
        `Tenant "${tenant}" has had no signing key of this kid; to kill the tokens of another issuer's key, revoke {"kid": …}.`,
      )
    }
    const key = app.auth.caller(request)
    const match = { kid }
    // The ring first: what is signed after the rule was made would be dead at birth.
    const act = audit.act(request, key, {
      action: 'revoke-key',
      by,
      note,
      reason,
      details: { kid },
    })
    const { ring } = await rings.revoke(tenant, kid, act)
    const change = { op: 'revoke', match, reason, ...(await livesOf(services, settings)) } as const
    const asked = audit.act(request, key, { action: 'revoke', by, note, reason, match })
    const { ids, epoch, seq, shard } = await rules.revoke(tenant, change, { act: asked })
    metrics.count('knell_revocations_accepted_total', { kind: 'revoked' })
    log.info({ tenant, kid, id: ids[0] }, 'a signing key is revoked')
    return { ...shownRing(tenant, ring), revocation: { id: ids[0], shard, epoch, seq } }
  })
}
