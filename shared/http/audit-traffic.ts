import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import type { ApiKey } from '../config/api-keys.ts'
import {
  toAuditText,
  type AuditAct,
  type AuditAction,
  type AuditResult,
} from '../domain/audit-record.ts'
import { AuditTally } from '../domain/audit-tally.ts'
import { parseMatch, type Match } from '../domain/claims.ts'
import { isKnellError, type ErrorCode } from '../domain/errors.ts'
import { isRecord } from '../domain/entry.ts'
import { isReason } from '../domain/reasons.ts'
import type { AuditStore, AuditStream } from '../store/audit-store.ts'
import { networkOf } from './failures.ts'
import { fromOf, secretOf, textOf, type Asked } from './audit.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a call that changes something is audited as, also where it is refused. */
    readonly action?: AuditAction
  }
}

const WINDOW_MS = 10_000
const EACH = 20
const EACH_KEY = 40
const MAX_KINDS = 100
const COUNTED_MS = 60_000
const MAX_STRANGERS = 20
const MAX_FOREIGN = 3
const MAX_TEXT = 1000
/** How a call without an API key, or without the credentials of an OAuth client, is refused. */
const STRANGERS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'unauthorized',
  'invalid_client',
  'too_many_requests',
])

/** What is counted together: acts of one key in one tenant, with one result. Where they came from is that of the first. */
interface Kind {
  readonly stream: AuditStream
  readonly tenant: string | null
  readonly act: AuditAct
  readonly result: AuditResult
}

/** What is of too many kinds to be told apart; of strangers also of too many addresses. */
function restOf({ stream, act: { action, who } }: Kind): Kind {
  const act: AuditAct = { action, who, from: { address: null, via: 'api' } }
  return { stream, tenant: null, act, result: { ok: false } }
}

/**
 * Audits what callers can cause without limit: refused attempts, failed authentications and bulk
 * registrations. It costs no call anything: a record is written beside the answer, and one that
 * cannot be written is logged and lost.
 */
export class AuditTraffic {
  readonly #store: AuditStore
  readonly #log: Logger
  readonly #tally = new AuditTally<Kind>({
    windowMs: WINDOW_MS,
    each: EACH,
    eachOwner: EACH_KEY,
    maxKinds: MAX_KINDS,
    rest: restOf,
  })
  /** Nobody is known by a failed authentication, so these are only counted. */
  readonly #strangers = new AuditTally<Kind>({
    windowMs: COUNTED_MS,
    each: 0,
    eachOwner: 0,
    maxKinds: MAX_STRANGERS,
    rest: restOf,
  })
  /** What keys are refused outside their tenants is nothing that these have done: it is only counted. */
  readonly #foreign = new AuditTally<Kind>({
    windowMs: COUNTED_MS,
    each: 0,
    eachOwner: 0,
    maxKinds: MAX_FOREIGN,
    rest: restOf,
  })
  readonly #isKept: boolean
  readonly #writing = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined

  constructor(store: AuditStore, days: number, log: Logger) {
    this.#store = store
    this.#isKept = days > 0
    this.#log = log
  }

  /** Audits what the routes refuse: those whose `config` names an action, and calls without a key. */
  watch(app: FastifyInstance, isDeclared: (tenant: string) => boolean): void {
    app.addHook('onError', async (request, _reply, error) => {
      if (!this.#isKept || !isKnellError(error) || error.status >= 500) return
      const key = app.auth.known(request)
      if (key === undefined) {
        const isStranger = STRANGERS.has(error.code)
        // What else fails without a key is of pages that need none.
        if (isStranger) this.#stranger(request)
      } else {
        const named = app.auth.tenantAsked(request)
        const isOwn = named !== undefined && isDeclared(named) && key.mayUse(named)
        const tenant = isOwn ? named : null
        this.#refused(request, key, tenant, error.code)
      }
      await Promise.resolve()
    })
  }

  #refused(request: FastifyRequest, key: ApiKey, tenant: string | null, code: ErrorCode): void {
    const { action } = request.routeOptions.config
    if (action === undefined || code === 'too_many_requests') return
    // Tokens that are no good are many, and change nothing.
    if (action === 'register' && code !== 'forbidden') return
    const asked = readAsked(action, request)
    if (asked === undefined) return
    const result = { ok: false, code }
    if (tenant === null && key.tenants !== '*') this.#countForeign(request, key, asked, result)
    else this.add(request, key, tenant, asked, result)
  }

  #countForeign(
    request: FastifyRequest,
    key: ApiKey,
    { action }: Asked,
    result: AuditResult,
  ): void {
    const act: AuditAct = { action, who: { key: key.name }, from: fromOf(request) }
    const kind = JSON.stringify([action, result])
    const facts: Kind = { stream: 'traffic', tenant: null, act, result }
    this.#foreign.add(key.name, kind, facts, {}, Date.now())
    this.#flushLater()
  }

  /** Counts a call that came without the secret of an API key. */
  #stranger(request: FastifyRequest): void {
    const from = { ...fromOf(request), address: networkOf(request.ip) }
    const act: AuditAct = { action: 'authenticate', who: { key: null }, from }
    const result = { ok: false, code: 'unauthorized' }
    const facts: Kind = { stream: 'traffic', tenant: null, act, result }
    this.#strangers.add('', from.address, facts, {}, Date.now())
    this.#flushLater()
  }

  /** Audits one act; past a few in a short time those alike become one record. `sums` are added up there. */
  add(
    request: FastifyRequest,
    key: ApiKey,
    tenant: string | null,
    asked: Asked,
    result: AuditResult,
    sums: Readonly<Record<string, number>> = {},
  ): void {
    if (!this.#isKept) return
    const { action } = asked
    const act: AuditAct = { action, who: { key: key.name }, from: fromOf(request) }
    // Where it comes from is in no kind: a caller says some of that as it likes.
    const kind = JSON.stringify([tenant, action, result])
    const stream = action === 'register' && result.code === undefined ? 'bulk' : 'traffic'
    if (this.#tally.add(key.name, kind, { stream, tenant, act, result }, sums, Date.now())) {
      const text = toAuditText({ ...result, ...sums }, secretOf(request))
      this.#write(stream, tenant, textOf(request, key, asked), text)
    } else {
      this.#flushLater()
    }
  }

  #flushLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#flush(Date.now())
      // Some windows began after this timer did.
      const tallies = [this.#tally, this.#strangers, this.#foreign]
      if (tallies.some(({ isCounting }) => isCounting)) this.#flushLater()
    }, WINDOW_MS).unref()
  }

  #flush(now: number): void {
    const tallies = [this.#tally, this.#strangers, this.#foreign]
    for (const { facts, sums, since } of tallies.flatMap((tally) => tally.take(now))) {
      const { stream, tenant, act, result } = facts
      this.#write(
        stream,
        tenant,
        toAuditText({ ...act, details: { ...act.details, since } }),
        toAuditText({ ...result, ...sums }),
      )
    }
  }

  #write(stream: AuditStream, tenant: string | null, act: string, result: string): void {
    const writing = this.#store
      .append(stream, tenant, act, result)
      .catch((error: unknown) => this.#log.warn({ err: error, act, result }, 'not audited'))
      .finally(() => this.#writing.delete(writing))
    this.#writing.add(writing)
  }

  /** Writes what has been counted. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    this.#flush(Infinity)
    await Promise.all(this.#writing)
  }
}

/** What a refused call asked for, as far as it can be understood; its token is never looked at. Undefined: it would have changed nothing. */
function readAsked(named: AuditAction, { body, query }: FastifyRequest): Asked | undefined {
  const sent: unknown = body ?? query
  // A list of nothing.
  if (Array.isArray(sent) && sent.length === 0) return undefined
  if (!isRecord(sent)) return { action: named }
  const { match, reason, by, note, hold, at, dryRun } = sent
  if (dryRun === true) return undefined
  const made = hold === undefined ? named : 'hold'
  const { id, service, instance } = sent
  return {
    action: at === undefined ? made : 'schedule',
    match: matchOf(match),
    reason: isReason(reason) ? reason : undefined,
    by: textIn(by),
    note: textIn(note),
    details: { id: textIn(id), service: textIn(service), instance: textIn(instance) },
  }
}

function matchOf(value: unknown): Match | undefined {
  try {
    return value === undefined ? undefined : parseMatch(value)
  } catch {
    return undefined
  }
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' && value.length <= MAX_TEXT ? value : undefined
}
