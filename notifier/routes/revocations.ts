import type { FastifyInstance, FastifyRequest } from 'fastify'
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import { parseMatch, type Match } from '../../shared/domain/claims.ts'
import { KnellError } from '../../shared/domain/errors.ts'
import { largestTtl } from '../../shared/domain/max-token-ttl.ts'
import { parseWith, reasonSchema, serviceSchema, tenantSchema } from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'
import type { Idempotency } from '../../shared/store/rule-store.ts'
import { placeOf, type Enforcement } from '../enforcement.ts'
import { tenantNamed } from '../tenant-named.ts'
import { readDoomed } from '../token-reader.ts'

const MAX_NUMERIC_DATE = 2 ** 33
const noteSchema = z.string().max(1000).optional()

/** A caller that waits longer than this has given up. */
const MAX_WAIT_MS = 60_000
/** Waits that one process keeps open. */
const MAX_WAITS = 1000

const waitSchema = z.strictObject({
  for: z.union([z.literal('all'), z.number().int().min(1).max(100_000)]),
  services: z.array(serviceSchema).min(1).max(100).optional(),
  timeoutMs: z.number().int().min(0).max(MAX_WAIT_MS).default(5000),
})

const revokeBody = z.strictObject({
  match: z.unknown().optional(),
  token: z.string().optional(),
  tenant: tenantSchema,
  issuedBefore: z.number().int().min(0).max(MAX_NUMERIC_DATE).nullable().optional(),
  reason: reasonSchema,
  by: noteSchema,
  note: noteSchema,
  except: z.unknown().optional(),
  wait: waitSchema.optional(),
})

const restoreBody = z.strictObject({
  id: z
    .string()
    .regex(/^r\d{1,4}-\d{1,16}-\d{1,16}-\d{1,3}$/, 'must be an id that a revocation answered')
    .optional(),
  match: z.unknown().optional(),
  force: z.boolean().optional(),
  tenant: tenantSchema,
  by: noteSchema,
  note: noteSchema,
})

/** Claims that narrow a match to one user, session or token: revoking by them is not a mass revocation. */
const NARROW = ['jti', 'sid', 'sub']

/** `POST /v1/revocations` and `POST /v1/revocations/restore`. */
export function addRevocationRoutes(
  app: FastifyInstance,
  services: Services,
  enforcement: Enforcement,
): void {
  const { rules, log } = services
  let waits = 0
  app.addHook('preClose', async () => {
    enforcement.stop()
    await Promise.resolve()
  })

  app.post('/v1/revocations', async (request, reply) => {
    const body = parseWith(revokeBody, request.body, 'body')
    if ((body.match === undefined) === (body.token === undefined)) {
      throw new KnellError('invalid_request', 'Send either match or token.')
    }
    const named = body as { tenant?: string; token?: string }
    const name = tenantNamed(services.settings, app.auth.caller(request), named)
    const scopes = ['revocations:write', 'revocations:mass'] as const
    const settings = app.auth.tenant(request, name, ...scopes)
    const doomed = body.token === undefined ? undefined : readDoomed(settings, body.token)
    const match: Match = doomed === undefined ? parseMatch(body.match) : { jti: doomed.jti }
    // A rule that names `kid` makes checks without a header wait for one, so it is nobody's private matter.
    const narrow = NARROW.some((claim) => claim in match) && !('kid' in match)
    app.auth.require(request, narrow ? 'revocations:write' : 'revocations:mass')
    const except = body.except === undefined ? undefined : parseMatch(body.except, 'except')
    if (except !== undefined && Object.keys(except).length === 0) {
      throw new KnellError('invalid_match', 'except must name at least one claim.')
    }
    if (except !== undefined && 'kid' in except) {
      throw new KnellError(
        'invalid_match',
        'except names payload claims; kid is a header parameter.',
      )
    }
    if (body.wait !== undefined && waits >= MAX_WAITS) {
      throw new KnellError('too_many_requests', 'Too many revocations wait to be enforced.')
    }
    const committed = await rules.revoke(
      settings.tenant,
      {
        op: 'revoke',
        match,
        ...(body.reason === undefined ? {} : { reason: body.reason }),
        ...(body.issuedBefore === undefined ? {} : { issuedBefore: body.issuedBefore }),
        ...(except === undefined ? {} : { except }),
        ...(doomed?.verifiedExp === undefined ? {} : { verifiedExp: doomed.verifiedExp }),
        ttlSeconds: await longestOf(services, settings),
        skewSeconds: settings.issuerSkewSeconds,
        ack: body.wait !== undefined,
      },
      idempotencyOf(app, request, settings.tenant),
    )
    const { ids, shard, epoch, seq, issuedBefore, until } = committed
    log.info({ id: ids[0], tenant: settings.tenant, reason: body.reason, by: body.by }, 'revoked')
    const answer = { id: ids[0], shard, epoch, seq, issuedBefore, until }
    if (body.wait === undefined) return reply.status(201).send(answer)
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    waits += 1
    try {
      const place = placeOf(committed)
      const enforced = await enforcement.wait(settings.tenant, place, body.wait, gone.signal)
      return await reply.status(201).send({ ...answer, enforced })
    } finally {
      waits -= 1
    }
  })

  app.post('/v1/revocations/restore', async (request) => {
    const body = parseWith(restoreBody, request.body, 'body')
    const settings = app.auth.tenant(request, body.tenant, 'revocations:undo')
    const { tenant } = settings
    if ((body.match === undefined) === (body.id === undefined)) {
      throw new KnellError('invalid_request', 'Send either id or match.')
    }
    const shard = Number(body.id?.slice(1).split('-')[0])
    if (body.id !== undefined && shard >= services.store.shards) {
      throw new KnellError('unknown_revocation', 'No live revocation is known by this id.')
    }
    const committed = await rules.restore(
      tenant,
      body.id === undefined
        ? {
            op: 'restore',
            match: parseMatch(body.match),
            ttlSeconds: await longestOf(services, settings),
            force: body.force === true,
          }
        : { op: 'restore', id: body.id, shard },
      idempotencyOf(app, request, tenant),
    )
    const { ids: lifted, match, epoch, seq } = committed
    log.info({ lifted, tenant, by: body.by }, 'restored')
    return { lifted, match, shard: committed.shard, epoch, seq }
  })
}

async function longestOf({ feed, store }: Services, settings: TenantSettings): Promise<number> {
  const steps = await feed.maxTokenTtl(settings.tenant)
  const now = Math.floor((await store.now(settings.tenant)) / 1000)
  return largestTtl(steps, now) ?? settings.maxTokenTtlSeconds
}

/** An `Idempotency-Key` belongs to API key, tenant and body for 10 minutes. */
function idempotencyOf(
  app: FastifyInstance,
  request: FastifyRequest,
  tenant: string,
): Idempotency | undefined {
  const sent = request.headers['idempotency-key']
  if (sent === undefined) return undefined
  if (typeof sent !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(sent)) {
    throw new KnellError(
      'invalid_request',
      'Idempotency-Key must be 1 to 128 characters of printable ASCII.',
    )
  }
  const { name } = app.auth.caller(request)
  return {
    key: digest(`${name}\n${tenant}\n${sent}`),
    body: digest(`${request.url}\n${JSON.stringify(request.body)}`),
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
