import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { DeadLetters, type Cut } from '../../broker/dead-letters.ts'
import { namesOf } from '../../domain/names.ts'
import type { ApiKey } from '../../config/api-keys.ts'
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

/** What a caller may look after. */
function cutOf(key: ApiKey): { mayUse: Cut; isForAll: boolean } {
  return { mayUse: (tenant) => key.mayUse(tenant), isForAll: key.tenants === '*' }
}

/** `GET /v1/dead` and `POST /v1/dead/replay`: what handlers gave up. */
export function addDeadRoutes(app: FastifyInstance, { broker, settings, log }: Services): void {
  const letters = new DeadLetters(broker, namesOf(settings.namespace))

  app.get('/v1/dead', async (request) => {
    const key = app.auth.require(request, 'ops:write')
    const { service, limit } = parseWith(listQuery, request.query, 'query')
    const { dead, total, more } = await letters.list(service, { limit, ...cutOf(key) })
    // How many there are of all tenants is not for a key of some.
    return { service, dead, more, ...(key.tenants === '*' ? { total } : {}) }
  })

  app.post('/v1/dead/replay', async (request) => {
    const key = app.auth.require(request, 'ops:write')
    const { service, ids, limit } = parseWith(replayBody, request.body, 'body')
    const result = await letters.replay(service, {
      ...(ids === undefined ? {} : { ids: new Set(ids) }),
      limit,
      ...cutOf(key),
    })
    log.info({ service, key: key.name, ...result }, 'dead letters were put back')
    return { service, ...result }
  })
}
