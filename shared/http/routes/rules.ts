import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseMatch, type Match } from '../../domain/claims.ts'
import { KnellError } from '../../domain/errors.ts'
import { shardOfMatch } from '../../domain/shard.ts'
import { parseStoredRule } from '../../store/stored-rule.ts'
import type { Takes } from '../calls/call.ts'
import { countSchema, isStoreCount, NO_CURSOR, parseWith, tenantSchema } from '../schemas.ts'
import { shownRule } from '../shown-rule.ts'
import type { Services } from '../services.ts'

const pageQuery = z.looseObject({
  tenant: tenantSchema,
  match: z.string().max(4096).optional(),
  cursor: z
    .string()
    .regex(/^\d{1,4}\.\d{1,20}$/, NO_CURSOR)
    .refine((text) => isStoreCount(splitCursor(text)[1]), NO_CURSOR)
    .optional(),
  limit: countSchema(1, 1000, 100),
})

/** What the calls of this file take. */
export const ruleTakes: Takes = {
  'GET /v1/revocations': { query: pageQuery },
}

/** `GET /v1/revocations`: the rule of a match (`?sub=alice`, or `?match={"n":5}` for other than strings), or a page of live ones. */
export function addRuleRoutes(app: FastifyInstance, services: Services): void {
  const { store, rules } = services
  app.get('/v1/revocations', async (request, reply) => {
    const {
      tenant: named,
      match: text,
      cursor,
      limit,
      ...claims
    } = parseWith(pageQuery, request.query, 'query')
    const { tenant } = app.auth.tenant(request, named, 'feed:read')
    void reply.header('cache-control', 'no-store')
    const match = text === undefined ? parseMatch(claims, 'the query') : parseMatch(parseText(text))
    if (text !== undefined || Object.keys(claims).length > 0) {
      const shard = shardOfMatch(match, store.shards)
      const { at, rules: found } = await rules.get(tenant, shard, [match])
      return { at, match, rule: found[0] === undefined ? null : shownRule(shard, found[0]) }
    }
    return livePage(services, tenant, cursor ?? '0.0', limit)
  })
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new KnellError(
      'invalid_match',
      'match must be the JSON text of a match, percent-encoded.',
      { cause: error },
    )
  }
}

/** Reads on from `<shard>.<cursor>` until about `limit` live rules are found. */
async function livePage(
  { store }: Services,
  tenant: string,
  from: string,
  limit: number,
): Promise<{ rules: unknown[]; next?: string }> {
  let [shard, cursor] = splitCursor(from)
  const found: Match[] = []
  while (shard < store.shards) {
    const keys = store.keys.shard(tenant, shard)
    const page = await store.scan(keys.meta, keys.rules, cursor, limit)
    for (let i = 1; i < page.fields.length; i += 2) {
      const stored = parseStoredRule(page.fields[i] as string)
      const { cutoffs, held, until } = stored.rule
      const live = (cutoffs !== undefined || held === true) && (until ?? Infinity) >= page.at / 1000
      if (live) found.push(shownRule(shard, stored) as unknown as Match)
    }
    cursor = page.cursor
    if (cursor === '0') shard += 1
    if (found.length >= limit) break
  }
  return shard < store.shards ? { rules: found, next: `${shard}.${cursor}` } : { rules: found }
}

function splitCursor(text: string): [number, string] {
  const dot = text.indexOf('.')
  return [Number(text.slice(0, dot)), text.slice(dot + 1)]
}
