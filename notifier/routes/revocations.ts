import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { saidBy } from '../../shared/http/audit.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { Cap } from '../../shared/http/cap.ts'
import { parseWith } from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'
import { idempotencyOf } from '../change-request.ts'
import { dryAnswer } from '../dry-run.ts'
import { placeOf, type Enforcement } from '../enforcement.ts'
import {
  answerOf,
  askedOf,
  makeRevocation,
  manyBody,
  readRevocation,
  revokeBody,
} from '../revocation-request.ts'
import { revokeMany } from '../revoke-many.ts'

/** What the calls of this file take. */
export const revocationTakes: Takes = {
  'POST /v1/revocations': { body: z.union([revokeBody, manyBody]) },
}

/** `POST /v1/revocations`: revokes or holds, now or at a time, and waits for the enforcement where told to; or many at once. */
export function addRevocationRoutes(
  app: FastifyInstance,
  services: Services,
  enforcement: Enforcement,
): void {
  const { rules, schedules, audit, metrics, log } = services
  const waits = new Cap(app.limits.waitsPerKey, 'revocations that wait')
  app.addHook('preClose', async () => {
    enforcement.stop()
    await Promise.resolve()
  })

  app.post('/v1/revocations', { config: { action: 'revoke' } }, async (request, reply) => {
    if (Array.isArray(request.body)) {
      return reply.status(201).send(await revokeMany(app, services, request))
    }
    const body = parseWith(revokeBody, request.body, 'body')
    const { tenant, match, change } = await readRevocation(app, services, request, body)
    const { at, wait } = body
    if (body.dryRun === true) {
      const preview =
        at === undefined
          ? await rules.preview(tenant, change)
          : await schedules.preview(tenant, at, change)
      return dryAnswer(services, tenant, preview, { change, at })
    }
    const idempotency = idempotencyOf(app, request, tenant)
    const key = app.auth.caller(request)
    const act = audit.act(request, key, askedOf(body, change))
    const more = { idempotency, act }
    const by = { tenant, reason: body.reason, by: saidBy(request, body.by) }
    if (at !== undefined) {
      const { id, ...kept } = await schedules.schedule(tenant, at, change, more)
      metrics.count('knell_revocations_accepted_total', { kind: 'scheduled' })
      log.info({ id, ...by, at }, 'scheduled')
      return reply.status(201).send({ id, scheduled: true, ...kept, match })
    }
    if (wait !== undefined) waits.takeFor(key.name, reply.raw)
    const { committed, kind } = await makeRevocation(services, tenant, change, more)
    log.info({ id: committed.ids[0], ...by }, kind)
    const answer = answerOf(committed)
    if (wait === undefined) return reply.status(201).send(answer)
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const enforced = await enforcement.wait(tenant, placeOf(match, committed), wait, gone.signal)
    return reply.status(201).send({ ...answer, enforced })
  })
}
