import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Readable } from 'node:stream'
import { z } from 'zod'
import type { ApiKey } from '../../shared/config/api-keys.ts'
import type { TenantSettings } from '../../shared/config/tenant-settings.ts'
import { isKnellError, KnellError } from '../../shared/domain/errors.ts'
import { largestTtl } from '../../shared/domain/max-token-ttl.ts'
import { readLines, type Line } from '../../shared/domain/lines.ts'
import type { Takes } from '../../shared/http/calls/call.ts'
import { parseWith, tenantSchema } from '../../shared/http/schemas.ts'
import type { Services } from '../../shared/http/services.ts'
import { Pacer } from '../pacer.ts'
import { readClaims, readToken } from '../token-reader.ts'
import { tenantNamed } from '../tenant-named.ts'
import { thisMoment } from '../../shared/process/this-moment.ts'

const MAX_ITEMS = 5000
/** 5,000 tokens of a common size; a single token is bounded by the verifier. */
const BODY_LIMIT = 16 * 1024 * 1024
const MAX_LINE = 65_536
/** So many lines of an upload wait for the store at once. */
const MAX_WAITING = 4000
const MAX_LISTED = 10_000

const itemSchema = z.union([
  z.strictObject({ token: z.string(), tenant: tenantSchema }),
  z.strictObject({ claims: z.record(z.string(), z.unknown()), tenant: tenantSchema }),
])
type Item = z.infer<typeof itemSchema>

/** What the calls of this file take. */
export const tokenTakes: Takes = {
  'POST /v1/tokens': {
    body: z.union([itemSchema, z.array(itemSchema).min(1).max(MAX_ITEMS)]),
    line: itemSchema,
  },
}

interface Rejected {
  readonly index?: number
  readonly line?: number
  readonly code: string
  readonly message: string
}

/** `POST /v1/tokens`: registers one token, an array of up to 5,000, or an NDJSON stream of any length. */
export function addTokenRoutes(app: FastifyInstance, services: Services): void {
  app.addContentTypeParser(
    ['application/x-ndjson', 'application/ndjson'],
    (_request, payload, done) => {
      done(null, payload)
    },
  )
  const options = { bodyLimit: BODY_LIMIT, config: { action: 'register' } } as const
  app.post('/v1/tokens', options, async (request, reply) => {
    const key = app.auth.require(request, 'tokens:write', 'tokens:claims')
    services.health.assertRoom()
    const { body } = request
    const counts = new Map<string, number>()
    const register = counted(createRegister(app, services, request, counts), services)
    void reply.status(201)
    // Each token would be millions of records, and is proved by its signature or proves nothing.
    const audited = async <T extends Done>(work: Promise<T>): Promise<T> => {
      let done: T | undefined
      try {
        done = await work
        return done
      } finally {
        const rejected = done?.rejectedCount ?? done?.rejected?.length ?? 0
        recordBulk(services, request, key, { counts, rejected, ok: done !== undefined })
      }
    }
    if (isStream(body)) return audited(registerLines(body, register))
    if (!Array.isArray(body)) {
      await register(body)
      return { registered: 1 }
    }
    if (body.length === 0 || body.length > MAX_ITEMS) {
      throw new KnellError(
        'invalid_request',
        `An array holds 1 to ${MAX_ITEMS} tokens; got ${body.length}. Send NDJSON for more.`,
      )
    }
    return audited(registerAll(body, register))
  })
}

/** One for all calls: the verification of signatures is what takes time. */
const pacer = new Pacer()

interface Done {
  readonly registered: number
  readonly rejectedCount?: number
  readonly rejected?: readonly unknown[]
}

interface Bulk {
  readonly counts: ReadonlyMap<string, number>
  readonly rejected: number
  /** Whether the call came to its end; what it had registered by then stays. */
  readonly ok: boolean
}

/** One record per tenant with how many were registered for it; what was rejected is counted with the first. */
function recordBulk(
  { auditTraffic }: Services,
  request: FastifyRequest,
  key: ApiKey,
  { counts, rejected, ok }: Bulk,
): void {
  let left = rejected
  for (const [tenant, registered] of counts.size > 0 ? counts : [[null, 0] as const]) {
    const sums = { registered, rejected: left }
    auditTraffic.add(request, key, tenant, { action: 'register' }, { ok }, sums)
    left = 0
  }
}

type Register = (item: unknown) => Promise<void>

/** The same, counted. */
function counted(register: Register, { metrics }: Services): Register {
  return async (item) => {
    try {
      await register(item)
      metrics.count('knell_tokens_registered_total')
    } catch (error) {
      if (isKnellError(error) && error.status < 500) metrics.count('knell_tokens_rejected_total')
      throw error
    }
  }
}

function createRegister(
  app: FastifyInstance,
  services: Services,
  request: FastifyRequest,
  counts: Map<string, number>,
): Register {
  const longests = new Map<string, Promise<number>>()
  const longestOf = async ({ tenant, maxTokenTtlSeconds }: TenantSettings): Promise<number> => {
    const steps = await services.feed.maxTokenTtl(tenant)
    const now = Math.floor((await services.store.now(tenant)) / 1000)
    return largestTtl(steps, now) ?? maxTokenTtlSeconds
  }
  return async (raw) => {
    const item: Item = parseWith(itemSchema, raw, 'token to register')
    const name = tenantNamed(services.settings, app.auth.caller(request), item)
    const settings = app.auth.tenant(
      request,
      name,
      'token' in item ? 'tokens:write' : 'tokens:claims',
    )
    let longest = longests.get(settings.tenant)
    if (longest === undefined) {
      longest = longestOf(settings)
      longests.set(settings.tenant, longest)
    }
    const most = await longest
    const now = services.store.clock.earliest(thisMoment()) / 1000
    const record =
      'token' in item
        ? await readToken(services.verifiers, settings, item.token, now, most)
        : readClaims(settings, item.claims, now, most)
    await services.tokens.register(settings.tenant, record)
    counts.set(settings.tenant, (counts.get(settings.tenant) ?? 0) + 1)
  }
}

async function registerAll(
  items: readonly unknown[],
  register: Register,
): Promise<{ registered: number; rejected?: Rejected[] }> {
  const rejected: Rejected[] = []
  const one = async (item: unknown, index: number): Promise<void> => {
    try {
      await register(item)
    } catch (error) {
      rejected.push({ index, ...rejectionOf(error) })
    }
  }
  let failure: Error | undefined
  const waiting: Promise<void>[] = []
  for (const [index, item] of items.entries()) {
    await pacer.pace()
    if (failure !== undefined) break
    waiting.push(
      one(item, index).catch((error: unknown) => {
        failure = error instanceof Error ? error : new Error(String(error))
      }),
    )
  }
  await Promise.all(waiting)
  if (failure !== undefined) throw failure
  rejected.sort((a, b) => (a.index ?? 0) - (b.index ?? 0))
  const registered = items.length - rejected.length
  return rejected.length > 0 ? { registered, rejected } : { registered }
}

/** A fault of the store is the whole call's: the caller sends it again. */
function rejectionOf(error: unknown): { code: string; message: string } {
  if (!isKnellError(error) || error.status >= 500) throw error
  return { code: error.code, message: error.message }
}

/** The good lines are registered, the bad ones are listed (the first 10,000) and counted. Empty lines are passed over. */
async function registerLines(
  body: Readable,
  register: Register,
): Promise<{ registered: number; rejectedCount?: number; rejected?: Rejected[] }> {
  const rejected: Rejected[] = []
  let rejectedCount = 0
  let registered = 0
  let failure: Error | undefined
  const waiting = new Set<Promise<void>>()
  const reject = (line: number, error: unknown): void => {
    const why = rejectionOf(error)
    rejectedCount += 1
    if (rejected.length < MAX_LISTED) rejected.push({ line, ...why })
  }
  const one = async ({ number: line, text, problem }: Line): Promise<void> => {
    try {
      await register(parseLine(text, problem))
      registered += 1
    } catch (error) {
      reject(line, error)
    }
  }
  for await (const line of readLines(body, MAX_LINE)) {
    await pacer.pace()
    if (failure !== undefined) break
    if (line.text?.trim() === '') continue
    const work: Promise<void> = one(line)
      .catch((error: unknown) => {
        failure = error instanceof Error ? error : new Error(String(error))
      })
      .finally(() => waiting.delete(work))
    waiting.add(work)
    if (waiting.size >= MAX_WAITING) await Promise.race(waiting)
  }
  await Promise.all(waiting)
  if (failure !== undefined) throw failure
  rejected.sort((a, b) => (a.line ?? 0) - (b.line ?? 0))
  return rejectedCount > 0 ? { registered, rejectedCount, rejected } : { registered }
}

function parseLine(text: string | undefined, problem: Line['problem']): unknown {
  if (problem === 'not UTF-8') {
    throw new KnellError('invalid_json', 'The line is not UTF-8.')
  }
  if (text === undefined) {
    throw new KnellError('body_too_large', `The line is longer than ${MAX_LINE} bytes.`)
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new KnellError('invalid_json', 'The line is not JSON.', { cause: error })
  }
}

function isStream(body: unknown): body is Readable {
  return body instanceof Readable
}
