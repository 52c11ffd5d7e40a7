import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import { parseMatch } from '../../shared/domain/claims.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import { saidBy, type Asked } from '../../shared/http/audit.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { matchSchema, parseWith, tenantSchema } from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'
import type { Committed, ReleaseChange, RestoreChange } from '../../shared/store/changes.ts'
import { livesOf } from '../../shared/store/lives.ts'
import { idempotencyOf, noteSchema } from '../change-request.ts'
import { dryAnswer } from '../dry-run.ts'

const common = {
  match: matchSchema.optional(),
  force: z.boolean().optional(),
  tenant: tenantSchema,
  by: noteSchema,
  note: noteSchema,
  dryRun: z.boolean().optional(),
}

const releaseBody = z.strictObject(common)

const restoreBody = z.strictObject({
  ...common,
  id: z
    .string()
    .regex(
      /^(r\d{1,4}-\d{1,16}-\d{1,16}-\d{1,3}|s\d{1,4}-[0-9a-f]{20})$/,
      'must be an id that a revocation answered',
    )
    .optional(),
})

/** What the calls of this file take. */
export const undoTakes: Takes = {
  'POST /v1/revocations/release': { body: releaseBody },
  'POST /v1/revocations/restore': { body: restoreBody },
}

/** `POST /v1/revocations/release` lifts a hold, `POST /v1/revocations/restore` cut-offs, or by id either. */
export function addUndoRoutes(app: FastifyInstance, services: Services): void {
  const { rules, audit, metrics, log } = services

  app.post('/v1/revocations/release', { config: { action: 'release' } }, async (request) => {
    const body = parseWith(releaseBody, request.body, 'body')
    const settings = app.auth.tenant(request, body.tenant, 'revocations:undo')
    const { tenant } = settings
    if (body.match === undefined) throw new KnellError('invalid_request', 'Send the match.')
    const change: ReleaseChange = {
      op: 'release',
      match: parseMatch(body.match),
      ttlSeconds: (await livesOf(services, settings)).ttlSeconds,
      force: body.force === true,
    }
    if (body.dryRun === true) {
      return dryAnswer(services, tenant, await rules.preview(tenant, change), { change })
    }
    const act = audit.act(request, app.auth.caller(request), askedOf('release', body, change))
    const idempotency = idempotencyOf(app, request, tenant)
    const committed = await rules.release(tenant, change, { idempotency, act })
    metrics.count('knell_revocations_accepted_total', { kind: 'released' })
    log.info({ lifted: committed.ids, tenant, by: saidBy(request, body.by) }, 'released')
    return answerOf(committed)
  })

  app.post('/v1/revocations/restore', { config: { action: 'restore' } }, async (request) => {
    const body = parseWith(restoreBody, request.body, 'body')
    // Two tenants may have given the same id.
    const { size } = services.settings.tenants
    if (body.id !== undefined && body.tenant === undefined && size > 1) {
      throw new KnellError('invalid_request', 'Send the tenant of the id: an id is one tenant’s.')
    }
    const settings = app.auth.tenant(request, body.tenant, 'revocations:undo')
    const { tenant } = settings
    const change = await restoreOf(services, settings, body)
    if (body.dryRun === true) {
      return dryAnswer(services, tenant, await rules.preview(tenant, change), { change })
    }
    const act = audit.act(request, app.auth.caller(request), askedOf('restore', body, change))
    const idempotency = idempotencyOf(app, request, tenant)
    const committed = await rules.restore(tenant, change, { idempotency, act })
    metrics.count('knell_revocations_accepted_total', { kind: 'restored' })
    log.info({ lifted: committed.ids, tenant, by: saidBy(request, body.by) }, 'restored')
    return answerOf(committed)
  })
}

function askedOf(
  action: 'release' | 'restore',
  { by, note, force }: z.infer<typeof releaseBody>,
  change: ReleaseChange | RestoreChange,
): Asked {
  const aim = 'match' in change ? { match: change.match } : {}
  const details = { ...('match' in change ? {} : { id: change.id }), force }
  return { action, by, note, ...aim, details }
}

function answerOf({ ids, match, shard, epoch, seq }: Committed): Record<string, unknown> {
  return { lifted: ids, match, shard, epoch, seq }
}

async function restoreOf(
  services: Services,
  settings: TenantSettings,
  { id, match, force }: z.infer<typeof restoreBody>,
): Promise<RestoreChange> {
  if ((match === undefined) === (id === undefined)) {
    throw new KnellError('invalid_request', 'Send either id or match.')
  }
  if (id === undefined) {
    return {
      op: 'restore',
      match: parseMatch(match),
      ttlSeconds: (await livesOf(services, settings)).ttlSeconds,
      force: force === true,
    }
  }
  const shard = Number(id.slice(1).split('-')[0])
  if (shard >= services.store.shards) {
    throw new KnellError('unknown_revocation', 'No live revocation is known by this id.')
  }
  return { op: 'restore', id, shard }
}
