import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import { parseMatch, type Match } from '../../shared/domain/claims.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import { saidBy, type Asked } from '../../shared/http/audit.ts'
import { isMass } from '../../shared/domain/reach.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { Cap } from '../../shared/http/cap.ts'
import {
  matchSchema,
  parseWith,
  reasonSchema,
  serviceSchema,
  tenantSchema,
} from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'
import type { Committed, HoldChange, RevokeChange } from '../../shared/store/changes.ts'
import { livesOf, type Lives } from '../../shared/store/lives.ts'
import { idempotencyOf, noteSchema, numericDateSchema, parseExcept } from '../change-request.ts'
import { dryAnswer } from '../dry-run.ts'
import { placeOf, type Enforcement } from '../enforcement.ts'
import { tenantNamed } from '../tenant-named.ts'
import { readDoomed } from '../token-reader.ts'

/** A caller that waits longer than this has given up. */
const MAX_WAIT_MS = 60_000

const waitSchema = z.strictObject({
  for: z.union([z.literal('all'), z.number().int().min(1).max(100_000)]),
  services: z.array(serviceSchema).min(1).max(100).optional(),
  timeoutMs: z.number().int().min(0).max(MAX_WAIT_MS).default(5000),
})

const revokeBody = z.strictObject({
  match: matchSchema.optional(),
  token: z.string().optional(),
  tenant: tenantSchema,
  issuedBefore: numericDateSchema.nullable().optional(),
  reason: reasonSchema,
  by: noteSchema,
  note: noteSchema,
  except: matchSchema.optional(),
  wait: waitSchema.optional(),
  hold: z
    .strictObject({ reviewBy: numericDateSchema, outcome: z.enum(['release', 'revoke']) })
    .optional(),
  at: numericDateSchema.optional(),
  dryRun: z.boolean().optional(),
})

/** What the calls of this file take. */
export const revocationTakes: Takes = {
  'POST /v1/revocations': { body: revokeBody },
}

type RevokeBody = z.infer<typeof revokeBody>
type Named = { tenant?: string; token?: string }

/** `POST /v1/revocations`: revokes or holds, now or at a time, and waits for the enforcement where told to. */
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
    const body = parseWith(revokeBody, request.body, 'body')
    const { settings, match, verifiedExp } = await aimOf(app, services, request, body)
    const { tenant } = settings
    const change = changeOf(body, match, verifiedExp, await livesOf(services, settings))
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
    const committed =
      change.op === 'hold'
        ? await rules.hold(tenant, change, more)
        : await rules.revoke(tenant, change, more)
    const kind = change.op === 'hold' ? 'held' : 'revoked'
    metrics.count('knell_revocations_accepted_total', { kind })
    log.info({ id: committed.ids[0], ...by }, kind)
    const answer = answerOf(committed)
    if (wait === undefined) return reply.status(201).send(answer)
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const enforced = await enforcement.wait(tenant, placeOf(match, committed), wait, gone.signal)
    return reply.status(201).send({ ...answer, enforced })
  })
}

/** What the audit trail keeps of what was asked. */
function askedOf({ at, by, note }: RevokeBody, change: RevokeChange | HoldChange): Asked {
  const details =
    change.op === 'hold'
      ? { hold: { reviewBy: change.reviewBy, outcome: change.outcome } }
      : { issuedBefore: change.issuedBefore, except: change.except }
  return {
    action: at === undefined ? change.op : 'schedule',
    by,
    match: change.match,
    reason: change.reason ?? 'other',
    note,
    details: { ...details, at },
  }
}

/** What the caller learns of a revocation or hold that was made. */
function answerOf({ ids, shard, epoch, seq, ...made }: Committed): Record<string, unknown> {
  const { issuedBefore, reviewBy, outcome, until } = made
  const place = { id: ids[0], shard, epoch, seq }
  return reviewBy === undefined
    ? { ...place, issuedBefore, until }
    : { ...place, held: true, reviewBy, outcome, until }
}

/** Whom the call is about, where the caller may revoke that. @throws KnellError `invalid_*`, `token_*`, `forbidden` */
async function aimOf(
  app: FastifyInstance,
  services: Services,
  request: FastifyRequest,
  body: RevokeBody,
): Promise<{ settings: TenantSettings; match: Match; verifiedExp: number | undefined }> {
  if ((body.match === undefined) === (body.token === undefined)) {
    throw new KnellError('invalid_request', 'Send either match or token.')
  }
  const name = tenantNamed(services.settings, app.auth.caller(request), body as Named)
  const scopes = ['revocations:write', 'revocations:mass'] as const
  const settings = app.auth.tenant(request, name, ...scopes)
  const doomed =
    body.token === undefined
      ? undefined
      : await readDoomed(services.verifiers, settings, body.token)
  const match: Match = doomed === undefined ? parseMatch(body.match) : { jti: doomed.jti }
  app.auth.require(request, isMass(match) ? 'revocations:mass' : 'revocations:write')
  return { settings, match, verifiedExp: doomed?.verifiedExp }
}

/** @throws KnellError `invalid_request`, `invalid_match` where the members do not go together */
function changeOf(
  body: RevokeBody,
  match: Match,
  verifiedExp: number | undefined,
  lives: Lives,
): RevokeChange | HoldChange {
  const { issuedBefore, hold, at, reason, wait } = body
  if (wait !== undefined && (at !== undefined || body.dryRun === true)) {
    throw new KnellError(
      'invalid_request',
      'Only what is done now can be waited for: send no at and no dryRun with wait.',
    )
  }
  const except = parseExcept(body.except)
  const common = {
    match,
    ...(reason === undefined ? {} : { reason }),
    ...lives,
    ...(wait === undefined ? {} : { ack: true }),
  }
  if (at !== undefined && verifiedExp !== undefined && verifiedExp <= at) {
    throw new KnellError(
      'invalid_request',
      'The token expires before at, so nothing is to be done.',
    )
  }
  if (hold !== undefined) {
    if (issuedBefore !== undefined || except !== undefined) {
      throw new KnellError(
        'invalid_request',
        'A hold is of every token of the match: send no issuedBefore and no except with it.',
      )
    }
    return { op: 'hold', ...common, ...hold }
  }
  return {
    op: 'revoke',
    ...common,
    ...(issuedBefore === undefined ? {} : { issuedBefore }),
    ...(except === undefined ? {} : { except }),
    ...(verifiedExp === undefined ? {} : { verifiedExp }),
  }
}
