import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { DeadLetters, type Cut, type Vouch } from '../../broker/dead-letters.ts'
import type { ApiKey } from '../../config/api-keys.ts'
import { parseEntry, parseJson } from '../../domain/entry.ts'
import { namesOf } from '../../domain/names.ts'
import { toPartialBody } from '../../domain/partial-entry.ts'
import { termOf } from '../../domain/position.ts'
import type { EventSigner } from '../../signing/event-signer.ts'
import type { Takes } from '../calls/call.ts'
import { countSchema, parseWith, serviceSchema } from '../schemas.ts'
import type { Services } from '../services.ts'

const MAX_IDS = 1000
const MAX_REPLAYED = 10_000

const listQuery = z.strictObject({ service: serviceSchema, limit: countSchema(1, 1000, 100) })

const replayBody = z
  .strictObject({
    service: serviceSchema,
    ids: z.array(z.string().min(1).max(200)).min(1).max(MAX_IDS).optional(),
    all: z.literal(true).optional(),
    limit: z.int().min(1).max(MAX_REPLAYED).default(1000),
  })
  .refine(
    ({ ids, all }) => (ids === undefined) !== (all === undefined),
    'needs ids or all, not both',
  )

/** What the calls of this file take. */
export const deadTakes: Takes = {
  'GET /v1/dead': { query: listQuery },
  'POST /v1/dead/replay': { body: replayBody },
}

/** What a caller may look after. */
function cutOf(key: ApiKey): { mayUse: Cut; isForAll: boolean } {
  return { mayUse: (tenant) => key.mayUse(tenant), isForAll: key.tenants === '*' }
}

/** `GET /v1/dead` and `POST /v1/dead/replay`: what handlers gave up. */
export function addDeadRoutes(app: FastifyInstance, services: Services): void {
  const { broker, settings, signer, audit, log } = services
  const vouch = signer && voucherOf(services, signer)
  const letters = new DeadLetters(broker, namesOf(settings.namespace), vouch)

  app.get('/v1/dead', async (request) => {
    const key = app.auth.require(request, 'ops:write')
    const { service, limit } = parseWith(listQuery, request.query, 'query')
    const { dead, total, more } = await letters.list(service, { limit, ...cutOf(key) })
    // How many there are of all tenants is not for a key of some.
    return { service, dead, more, ...(key.tenants === '*' ? { total } : {}) }
  })

  app.post('/v1/dead/replay', { config: { action: 'replay' } }, async (request) => {
    const key = app.auth.require(request, 'ops:write')
    const { service, ids, limit } = parseWith(replayBody, request.body, 'body')
    const result = await letters.replay(service, {
      ...(ids === undefined ? {} : { ids: new Set(ids) }),
      limit,
      ...cutOf(key),
    })
    const asked = { action: 'replay', details: { service, ids: ids?.length, limit } } as const
    // What a service gave up is of all its tenants; a key of some has put back what is of these.
    const concerned = key.tenants === '*' ? [null] : [...key.tenants]
    for (const tenant of concerned) {
      await audit.record(request, key, tenant, asked, { ok: true, ...result })
    }
    log.info({ service, key: key.name, ...result }, 'dead letters were put back')
    return { service, ...result }
  })
}

/**
 * Dead letters are not signed, so whoever may write one could have it signed by having it put back.
 * What is signed is the feed's own event of that key.
 */
function voucherOf({ feed }: Services, signer: EventSigner): Vouch {
  return async ({ tenant, log, shard, epoch, seq, index }) => {
    const body = await feed.entry(tenant, log, shard, { term: termOf(epoch) ?? 0, seq })
    if (body === undefined) return undefined
    const entry = parseEntry(parseJson(body))
    const event = (parseJson(body) as { events: unknown[] }).events[index]
    if (event === undefined) return undefined
    const partial = toPartialBody(entry, index, event)
    return { body: partial, signature: signer.sign('partial', partial) }
  }
}
