import type { FastifyInstance } from 'fastify'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { WIRE_VERSION } from '../../domain/entry.ts'
import { KnellError } from '../../domain/errors.ts'
import { PREFER_RUNS } from '../../domain/plain-run.ts'
import { parsePosition, type Log, type Position } from '../../domain/position.ts'
import type { FeedAnswer, TenantState } from '../../store/feed-store.ts'
import type { Puller } from '../../store/instance-store.ts'
import { joinInstance, readSnapshot } from '../../store/snapshot.ts'
import type { EventSigner } from '../../signing/event-signer.ts'
import type { Takes } from '../calls/call.ts'
import { Cap } from '../cap.ts'
import {
  countSchema,
  instanceSchema,
  nonceSchema,
  parseWith,
  serviceSchema,
  tenantSchema,
} from '../schemas.ts'
import type { Services } from '../services.ts'
import { linesOf, linesWithRuns } from '../snapshot-lines.ts'
import { refTo, shown } from '../shown-schema.ts'
import { signedPage, SnapshotSigner, type Asked } from '../signed-answers.ts'
import { Turns } from '../turns.ts'

const MAX_WAIT_MS = 30_000

const whoSchema = {
  tenant: tenantSchema,
  service: serviceSchema.optional(),
  instance: instanceSchema.optional(),
  maxStalenessMs: shown(z.union([z.literal('null'), z.string().regex(/^\d{1,12}$/)]), {
    type: ['integer', 'null'],
    minimum: 0,
    maximum: 999_999_999_999,
  }).optional(),
  asOf: shown(z.string().regex(/^\d{1,15}$/), refTo('common.json#/$defs/timeMs')).optional(),
  nonce: nonceSchema,
}

const snapshotQuery = z.strictObject(whoSchema)

const feedQuery = z.strictObject({
  ...whoSchema,
  log: z.enum(['revocations', 'expiries']).default('revocations'),
  after: z.string().max(4096).optional(),
  limit: countSchema(1, 1000, 100),
  waitMs: countSchema(0, MAX_WAIT_MS, 0),
})

/** What the calls of this file take. */
export const feedTakes: Takes = {
  'GET /v1/snapshot': { query: snapshotQuery },
  'GET /v1/feed': { query: feedQuery },
}

interface Who {
  readonly service?: string | undefined
  readonly instance?: string | undefined
  readonly maxStalenessMs?: string | undefined
  readonly asOf?: string | undefined
}

/** The view instance that pulls, where the query names one. */
function pullerOf(who: Who, key: string, applied?: readonly Position[]): Puller | undefined {
  const { service, instance, maxStalenessMs, asOf } = who
  if (service === undefined || instance === undefined) return undefined
  const finite = maxStalenessMs !== undefined && maxStalenessMs !== 'null'
  return {
    service,
    instance,
    maxStalenessMs: finite ? Number(maxStalenessMs) : null,
    key,
    ...(applied === undefined ? {} : { applied, asOf: Number(asOf ?? 0) }),
  }
}

/** `GET /v1/snapshot` and `GET /v1/feed`: the pull path. */
export function addFeedRoutes(app: FastifyInstance, services: Services): void {
  const { store, feed, instances, acks, watch, health } = services
  const snapshots = new Turns(app.limits.snapshots, 'snapshots')
  const polls = new Cap(app.limits.pollsPerKey, 'polls of the feed')

  app.get('/v1/snapshot', async (request, reply) => {
    const query = parseWith(snapshotQuery, request.query, 'query')
    const { tenant } = app.auth.tenant(request, query.tenant, 'feed:read')
    await snapshots.wait(app.auth.caller(request).name, reply.raw)
    // Joining is a write that comes before the tails are read.
    const puller = pullerOf(query, app.auth.caller(request).name)
    const state = await joinInstance(instances, feed, tenant, puller)
    const form = prefersRuns(request.headers['prefer']) ? linesWithRuns : linesOf
    return reply
      .header('content-type', 'application/x-ndjson')
      .header('cache-control', 'no-store')
      .header('vary', 'prefer')
      .send(Readable.from(snapshotLines(services, tenant, state, request.query as Asked, form)))
  })

  app.get('/v1/feed', async (request, reply) => {
    const query = parseWith(feedQuery, request.query, 'query')
    const { tenant } = app.auth.tenant(request, query.tenant, 'feed:read')
    const after = parseAfter(query.after, store.shards)
    const applied = query.log === 'revocations' ? after.filter((each) => each !== undefined) : []
    const whole = applied.length === store.shards ? applied : undefined
    const puller = pullerOf(query, app.auth.caller(request).name, whole)
    // Before the tails are read, as joining is: whoever commits after this finds the instance in the set.
    if (puller !== undefined) {
      await instances.join(tenant, puller)
      acks.pulled(tenant, puller)
    }
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const deadline = performance.now() + query.waitMs
    polls.takeFor(app.auth.caller(request).name, reply.raw)
    const read = () => feed.read(tenant, query.log, after, query.limit)
    const place = `${query.log} ${query.limit} ${query.after}`
    for (let isFirst = true; ; isFirst = false) {
      const mark = watch.mark(tenant)
      const answer = await (isFirst ? read() : watch.readTogether(tenant, place, mark, read))
      const left = deadline - performance.now()
      if (!isQuiet(answer, after) || left <= 0 || gone.signal.aborted || health.isStopping) {
        return reply
          .header('content-type', 'application/json')
          .header('cache-control', 'no-store')
          .send(await pageOf(services.signer, tenant, query.log, answer, request.query as Asked))
      }
      await watch.news(tenant, mark, left, gone.signal)
    }
  })

  app.addHook('onClose', async () => {
    watch.stop()
    snapshots.stop()
    await Promise.resolve()
  })
}

/** One position per shard, parted by commas; an empty one, or none at all, asks for the tail only. */
function parseAfter(text: string | undefined, shards: number): (Position | undefined)[] {
  if (text === undefined || text === '') return []
  const parts = text.split(',')
  if (parts.length !== shards) {
    throw new KnellError(
      'invalid_position',
      `after needs ${shards} positions, one per shard, parted by commas; got ${parts.length}.`,
    )
  }
  return parts.map((part) => (part === '' ? undefined : parsePosition(part)))
}

/** Nothing new for this caller: no entries, nothing trimmed away, and no shard in a later epoch than it knows. */
function isQuiet(answer: FeedAnswer, after: readonly (Position | undefined)[]): boolean {
  if (after.length === 0 || answer.bodies.length > 0 || answer.trimmed.length > 0) return false
  return answer.tails.every((tail, shard) => {
    const known = after[shard]
    return known === undefined || tail.epoch.startsWith(`${known.term}.`)
  })
}

async function pageOf(
  signer: EventSigner | undefined,
  tenant: string,
  log: Log,
  answer: FeedAnswer,
  asked: Asked,
): Promise<string> {
  const { at, tails, more, trimmed, bodies } = answer
  const head = {
    v: WIRE_VERSION,
    tenant,
    log,
    at,
    epochs: tails.map(({ epoch }) => epoch),
    tails,
    more,
    ...(trimmed.length > 0 ? { trimmed } : {}),
  }
  if (signer !== undefined) return signedPage(signer, head, bodies, asked)
  return `${JSON.stringify(head).slice(0, -1)},"entries":[${bodies.join(',')}]}`
}

/** The header may name several preferences, parted by commas. */
function prefersRuns(header: string | string[] | undefined): boolean {
  return String(header ?? '')
    .split(',')
    .some((each) => each.trim().toLowerCase() === PREFER_RUNS)
}

async function* snapshotLines(
  { store, log, settings, signer }: Services,
  tenant: string,
  state: TenantState,
  asked: Asked,
  form: typeof linesOf,
): AsyncGenerator<string> {
  const { at, tails, maxTokenTtl } = state
  const epochs = tails.revocations.map(({ epoch }) => epoch)
  const { beatMs } = settings
  const head = JSON.stringify({ v: WIRE_VERSION, tenant, at, epochs, tails, maxTokenTtl, beatMs })
  const facts = { v: WIRE_VERSION, tenant, at, epochs, asked }
  const signing = signer && new SnapshotSigner(signer, facts)
  signing?.head(head)
  yield `${head}\n`
  let count = 0
  try {
    for await (const page of readSnapshot(store, tenant, state)) {
      let lines = ''
      for (const { line, count: rules } of form(page)) {
        count += rules
        const checkpoint = signing?.rules(line, rules)
        lines += checkpoint === undefined ? `${line}\n` : `${line}\n${checkpoint}\n`
      }
      const checkpoint = signing?.checkpoint()
      if (checkpoint !== undefined) lines += `${checkpoint}\n`
      yield lines
    }
  } catch (error) {
    // The stream ends without its `end` line, which tells the reader to discard it.
    log.warn({ err: error, tenant }, 'snapshot broken off')
    return
  }
  yield `${signing?.end() ?? JSON.stringify({ end: true, count })}\n`
}
