import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Match } from '../../shared/domain/claims.ts'
import {
  parseEntry,
  parseJson,
  positionOf,
  type Entry,
  type Kind,
} from '../../shared/domain/entry.ts'
import { comparePositions, termOf } from '../../shared/domain/position.ts'
import type { Reason } from '../../shared/domain/reasons.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { countSchema, parseWith, tenantSchema } from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'
import type { Instance } from '../../shared/store/instance-store.ts'
import { newestEntries } from '../../shared/store/newest-entries.ts'
import { readTails } from '../../shared/store/read-tails.ts'
import { SharedReads } from '../../shared/store/shared-reads.ts'
import type { EnforcementWatch } from '../enforcement-watch.ts'
import type { Spot } from '../live-set.ts'
import type { Recents } from '../recents.ts'

/** Whoever looks at the same time shares what is read, until something new is known. */
const MAX_AGE_MS = 1000
/** Answers kept, of tenants and limits. */
const MAX_KEPT = 100

const recentQuery = z.strictObject({ tenant: tenantSchema, limit: countSchema(1, 500, 50) })

/** What the calls of this file take. */
export const recentTakes: Takes = {
  'GET /v1/recent': { query: recentQuery },
}

/** A revocation, hold, release or restore, and how far it is enforced now. */
interface Shown {
  /** The store's time of the commit, ms. */
  readonly at: number
  readonly tenant: string
  readonly shard: number
  readonly epoch: string
  readonly seq: number
  readonly kind: Kind
  readonly match: Match
  readonly reason?: Reason
  /** Instances that could let a dead token in now, and how many of them have applied it. */
  readonly live: number
  readonly applied: number
  readonly missing: readonly Pick<Instance, 'service' | 'instance'>[]
  /** From the commit until this notifier heard it back from RabbitMQ, ms; null: it did not. */
  readonly pushMs: number | null
  /** From the commit until the last live instance was known to have applied it, ms; null: this notifier did not see it. */
  readonly enforcedMs: number | null
}

interface Answer {
  readonly settled: boolean
  readonly recent: readonly Shown[]
}

/** `GET /v1/recent`: the newest changes of a tenant's rules, as the feed has them, and who has applied each. */
export function addRecentRoute(
  app: FastifyInstance,
  { store }: Services,
  { watch, recents }: { readonly watch: EnforcementWatch; readonly recents: Recents },
): void {
  const reads = new SharedReads<Answer>(MAX_KEPT)
  const read = async (tenant: string, limit: number): Promise<Answer> => {
    const entries = (await newestEntries(store, tenant, 'revocations', limit))
      .map((body) => parseEntry(parseJson(body)))
      .sort(newestFirst)
    // Of what a view has applied in this term, all that the store has of earlier ones is a part.
    const terms = (await readTails(store, tenant)).map(({ epoch }) => termOf(epoch) ?? 0)
    const spots = entries.map((entry): Spot => {
      const { shard } = entry
      return { shard, position: positionOf(entry), term: terms[shard] ?? 0 }
    })
    const { live, missing, isSettled } = await watch.judge(tenant, spots)
    const shown = entries.flatMap((entry, i) => {
      const { pushMs = null, enforcedMs = null } =
        recents.of(tenant, entry.shard, positionOf(entry)) ?? {}
      return rowsOf(entry, {
        live,
        applied: live - (missing[i]?.length ?? 0),
        missing: (missing[i] ?? []).map(({ service, instance }) => ({ service, instance })),
        pushMs: rounded(pushMs),
        enforcedMs: rounded(enforcedMs),
      })
    })
    // Until then nobody knows whether `live` is everybody.
    return { settled: isSettled, recent: shown.slice(0, limit) }
  }

  app.get('/v1/recent', async (request, reply) => {
    const { tenant: named, limit } = parseWith(recentQuery, request.query, 'query')
    const { tenant } = app.auth.tenant(request, named, 'ops:read')
    void reply.header('cache-control', 'no-store')
    const shared = reads.of(`${tenant} ${limit}`, () => read(tenant, limit))
    return shared.read(Math.min(MAX_AGE_MS, recents.quietMs(tenant)))
  })
}

function newestFirst(a: Entry, b: Entry): number {
  return b.at - a.at || comparePositions(positionOf(b), positionOf(a)) || b.shard - a.shard
}

type Standing = Pick<Shown, 'live' | 'applied' | 'missing' | 'pushMs' | 'enforcedMs'>

/** One row per rule that the entry changed, the last of them first. */
function rowsOf(
  { at, tenant, shard, epoch, seq, kind, ...entry }: Entry,
  standing: Standing,
): Shown[] {
  if (entry.log !== 'revocations') return []
  return entry.events.toReversed().map(({ match, reason }) => ({
    at,
    tenant,
    shard,
    epoch,
    seq,
    kind,
    match,
    ...(reason === undefined ? {} : { reason }),
    ...standing,
  }))
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Number(ms.toFixed(1))
}
