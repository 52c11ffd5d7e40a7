import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { TenantSettings } from '../shared/config/tenant-settings.ts'
import { parseMatch, type Match } from '../shared/domain/claims.ts'
import { KnellError } from '../shared/domain/errors.ts'
import { isMass } from '../shared/domain/reach.ts'
import type { Reason } from '../shared/domain/reasons.ts'
import type { Asked } from '../shared/http/audit.ts'
import { matchSchema, reasonSchema, serviceSchema, tenantSchema } from '../shared/http/schemas.ts'
import type { Services } from '../shared/http/services.ts'
import type { Committed, HoldChange, Outcome, RevokeChange } from '../shared/store/changes.ts'
import { livesOf, type Lives } from '../shared/store/lives.ts'
import type { Accompanied } from '../shared/store/rule-commit.ts'
import { noteSchema, numericDateSchema, parseExcept } from './change-request.ts'
import { tenantNamed } from './tenant-named.ts'
import { readDoomed } from './token-reader.ts'
import type { Wait } from './waiter.ts'

/** A caller that waits longer than this has given up. */
const MAX_WAIT_MS = 60_000

const waitSchema = z.strictObject({
  for: z.union([z.literal('all'), z.number().int().min(1).max(100_000)]),
  services: z.array(serviceSchema).min(1).max(100).optional(),
  timeoutMs: z.number().int().min(0).max(MAX_WAIT_MS).default(5000),
})

const bodySchema = z.strictObject({
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

/** One revocation or hold, as the body of a call. */
export interface RevokeBody {
  readonly match?: unknown
  readonly token?: string | undefined
  readonly tenant?: string | undefined
  readonly issuedBefore?: number | null | undefined
  readonly reason?: Reason | undefined
  readonly by?: string | undefined
  readonly note?: string | undefined
  readonly except?: unknown
  readonly wait?: Wait | undefined
  readonly hold?: { readonly reviewBy: number; readonly outcome: Outcome } | undefined
  readonly at?: number | undefined
  readonly dryRun?: boolean | undefined
}

export const revokeBody: z.ZodType<RevokeBody> = bodySchema

/** So many revocations may be sent at once. */
const MAX_AT_ONCE = 1000

/** Many at once, each for itself: only what is done now, and waits for nobody. */
export const manyBody: z.ZodType<RevokeBody[]> = z
  .array(bodySchema.omit({ wait: true, at: true, dryRun: true }))
  .min(1)
  .max(MAX_AT_ONCE)

type Named = { tenant?: string; token?: string }

/** A revocation or hold as it is asked for. */
export interface RevocationRequest {
  readonly tenant: string
  readonly match: Match
  readonly change: RevokeChange | HoldChange
}

/** Reads what is to be done, where the caller may do it. @throws KnellError `invalid_*`, `token_*`, `forbidden`, `store_*` */
export async function readRevocation(
  app: FastifyInstance,
  services: Services,
  request: FastifyRequest,
  body: RevokeBody,
): Promise<RevocationRequest> {
  const { settings, match, verifiedExp } = await aimOf(app, services, request, body)
  const change = changeOf(body, match, verifiedExp, await livesOf(services, settings))
  return { tenant: settings.tenant, match, change }
}

/** What the audit trail keeps of what was asked. */
export function askedOf({ at, by, note }: RevokeBody, change: RevokeChange | HoldChange): Asked {
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

/** Makes what was asked for, and counts it. @throws KnellError what the store refuses */
export async function makeRevocation(
  { rules, metrics }: Services,
  tenant: string,
  change: RevokeChange | HoldChange,
  more: Accompanied,
): Promise<{ committed: Committed; kind: 'held' | 'revoked' }> {
  const committed =
    change.op === 'hold'
      ? await rules.hold(tenant, change, more)
      : await rules.revoke(tenant, change, more)
  const kind = change.op === 'hold' ? 'held' : 'revoked'
  metrics.count('knell_revocations_accepted_total', { kind })
  return { committed, kind }
}

/** What the caller learns of a revocation or hold that was made. */
export function answerOf({ ids, shard, epoch, seq, ...made }: Committed): Record<string, unknown> {
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
