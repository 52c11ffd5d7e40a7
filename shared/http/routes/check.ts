import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import {
  audiencesOf,
  matchKey,
  STANDING_SHAPES,
  type Claims,
  type Header,
  type Match,
} from '../../domain/claims.ts'
import { judge, type Decision } from '../../domain/decision.ts'
import { KnellError } from '../../domain/errors.ts'
import { termOf } from '../../domain/position.ts'
import { RuleTable } from '../../domain/rule-table.ts'
import { shardOfMatch } from '../../domain/shard.ts'
import { WIRE_VERSION } from '../../domain/entry.ts'
import { tokenDigestOf } from '../../signing/digest.ts'
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

async function decide(
  { store, rules, feed }: Services,
  tenant: string,
  claims: Claims,
  header: Header | undefined,
): Promise<{ decision: Decision; rules: readonly object[] }> {
  const [steps, uncommon] = await Promise.all([feed.maxTokenTtl(tenant), rules.shapes(tenant)])
  const shapes = new Set([...STANDING_SHAPES, ...uncommon])
  const byShard = new Map<number, Match[]>([[0, []]])
  const ask = (match: Match, shard = shardOfMatch(match, store.shards)): void => {
    byShard.set(shard, [...(byShard.get(shard) ?? []), match])
  }
  for (const match of matchesOf(claims, header, shapes)) ask(match)
  if (header === undefined) {
    // Without a header any live rule that names `kid` may be the one that kills; the table says whether one could.
    const shards = Array.from({ length: store.shards }, (_, shard) => shard)
    await Promise.all(
      shards.map(async (shard) => {
        for (const match of await rules.kidMatches(tenant, shard)) ask(match, shard)
      }),
    )
  }
  // Shard 0's time is read before any other shard, so the whole answer is at least as new.
  const first = await rules.get(tenant, 0, byShard.get(0) ?? [])
  byShard.delete(0)
  const table = new RuleTable({ packed: false })
  const answers = await Promise.all(
    [...byShard].map(async ([shard, matches]) => ({
      shard,
      ...(await rules.get(tenant, shard, matches)),
    })),
  )
  const covering: object[] = []
  for (const { shard, rules: found } of [{ shard: 0, ...first }, ...answers]) {
    for (const stored of found) {
      if (stored === undefined) continue
      covering.push(shownRule(shard, stored))
      table.put(shard, { term: termOf(stored.epoch) ?? 0, seq: stored.seq }, stored.rule)
    }
  }
  const verdict = judge(claims, header, first.at / 1000, steps, table)
  const decision: Decision = {
    active: verdict.code === 'active',
    ...verdict,
    asOf: first.at,
    staleMs: 0,
    decidedBy: 'store',
  }
  return { decision, rules: covering }
}

/** Every match of these shapes that would cover the token: several per shape only for several audiences. */
function matchesOf(
  claims: Claims,
  header: Header | undefined,
  shapes: Iterable<string>,
): readonly Match[] {
  const found = new Map<string, Match>()
  for (const shape of shapes) {
    let partial: Match[] = [{}]
    for (const name of shape === '' ? [] : shape.split(',')) {
      const source = name === 'kid' ? [header?.['kid']] : [claims[name]]
      const values = name === 'aud' ? audiencesOf(claims).slice(0, 17) : source
      partial = partial.flatMap((match) =>
        values.flatMap((value) => (isValue(value) ? [{ ...match, [name]: value }] : [])),
      )
    }
    for (const match of partial) found.set(matchKey(match), match)
  }
  return [...found.values()]
}

function isValue(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}
