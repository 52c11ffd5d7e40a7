import { DelayedError, UnrecoverableError } from 'bullmq'
import { nearMatch } from '../config/near-match.ts'
import type { Claims, Header } from '../domain/claims.ts'
import type { Decision } from '../domain/decision.ts'
import { isTenant } from '../domain/tenant.ts'
import { problemsOfPolicy, type Policy, type PolicyOptions } from '../subscriber/policy.ts'
import type { VerifyResult } from '../subscriber/events.ts'
import type { CheckOptions } from '../subscriber/subscriber.ts'

/** What a processor needs of a subscriber. */
export interface JobSubscriber {
  decide(claims: Claims, header?: Header, options?: CheckOptions): Promise<Decision>
  verify(token: string, options?: CheckOptions): Promise<VerifyResult>
  policy(options: PolicyOptions): Policy
  signal(claims: Claims, header?: Header, options?: { tenant?: string }): AbortSignal
}

/** What is used of a BullMQ job. */
export interface DelayableJob {
  moveToDelayed(timestamp: number, token?: string): Promise<void>
}

/** Where a job keeps its token: exactly one of `claims` and `token`. */
export interface JobTokenOptions<J> extends PolicyOptions {
  /** The claims of a token that was verified when the job was added. */
  readonly claims?: (job: J) => Claims
  /** The header of that token; needed while a live rule names `kid`. */
  readonly header?: (job: J) => Header | undefined
  /** The token itself, verified again with the subscriber's option `verify`. Whoever reads Redis can use it, so prefer `claims`. */
  readonly token?: (job: J) => string
  /** The tenant, where several are followed. */
  readonly tenant?: string | ((job: J) => string)
  /** How long a job waits, in ms, where it is not known whether its token is alive. Default: 5000. */
  readonly staleDelay?: number
}

/** A processor whose third argument is always there, and aborts when the job's token dies or BullMQ cancels the job. */
export type TokenProcessor<J, R> = (
  job: J,
  lockToken: string | undefined,
  signal: AbortSignal,
) => Promise<R>

/** A processor as BullMQ's `Worker` takes it. */
export type WorkerProcessor<J, R> = (
  job: J,
  lockToken?: string,
  workerSignal?: AbortSignal,
) => Promise<R>

const OPTIONS: readonly string[] = [
  'claims',
  'header',
  'token',
  'tenant',
  'staleDelay',
  'maxStaleness',
  'whenStale',
]
/** What BullMQ throws through a processor for a job that goes on later. Such a job has left the active state, so it cannot be failed. */
const MOVED: ReadonlySet<string> = new Set([
  'DelayedError',
  'WaitingError',
  'WaitingChildrenError',
  'RateLimitError',
])
const DEFAULT_STALE_DELAY_MS = 5000

/**
 * Wraps a BullMQ processor so that work ends with the token it is done for.
 *
 * - A job whose token is dead, or was never good, never starts: it fails with `UnrecoverableError`,
 *   whose message names the code, and is not retried.
 * - Where the view is stale or not ready and the policy refuses, nothing is known against the token:
 *   the job is moved to delayed for `staleDelay` and looked at again, without using up an attempt.
 * - When the token dies while the job runs, `signal` aborts. The job stays active until the
 *   processor settles, and then fails with `UnrecoverableError`, whatever it returned or threw; what
 *   it threw is the `cause`. Only a job that the processor itself has moved elsewhere stays there;
 *   it is looked at again when it comes back.
 * - A fault, such as of `claims`, is thrown as it is: `attempts` and `backoff` apply.
 *
 * @throws TypeError that lists everything wrong with the options
 */
export function knellProcessor<J extends DelayableJob, R>(
  subscriber: JobSubscriber,
  processor: TokenProcessor<J, R>,
  options: JobTokenOptions<J>,
): WorkerProcessor<J, R> {
  assertOptions(subscriber, processor, options)
  const { staleDelay = DEFAULT_STALE_DELAY_MS } = options
  // Tells the subscriber what these jobs may ask for, before the first one asks for it.
  subscriber.policy(policyOf(options))
  // BullMQ makes its own signal only for processors that declare three parameters.
  return async (job, lockToken, workerSignal) => {
    const { claims, header, tenant, decision } = await decide(subscriber, job, options)
    if (!decision.active) {
      if (decision.code !== 'stale' && decision.code !== 'not_ready') throw refused(decision)
      await job.moveToDelayed(Date.now() + staleDelay, lockToken)
      throw new DelayedError()
    }
    const death = subscriber.signal(claims, header, tenant === undefined ? {} : { tenant })
    if (death.aborted) throw refused(death.reason)
    const both = new AbortController()
    const sources = workerSignal === undefined ? [death] : [death, workerSignal]
    const release = relay(sources, both)
    try {
      const result = await processor(job, lockToken, both.signal)
      if (death.aborted) throw refused(death.reason)
      return result
    } catch (error) {
      const wasMoved = error instanceof Error && MOVED.has(error.name)
      if (!death.aborted || wasMoved || error instanceof UnrecoverableError) throw error
      throw refused(death.reason, error)
    } finally {
      release()
    }
  }
}

interface Found {
  readonly claims: Claims
  readonly header: Header | undefined
  readonly tenant: string | undefined
  readonly decision: Decision
}

async function decide<J>(
  subscriber: JobSubscriber,
  job: J,
  options: JobTokenOptions<J>,
): Promise<Found> {
  const tenant = typeof options.tenant === 'function' ? options.tenant(job) : options.tenant
  const call = { ...policyOf(options), ...(tenant === undefined ? {} : { tenant }) }
  if (options.token !== undefined) {
    const found = await subscriber.verify(options.token(job), call)
    const { claims = {}, header } = found
    return { claims, header, tenant: found.tenant ?? tenant, decision: found }
  }
  const claims = options.claims?.(job) ?? {}
  const header = options.header?.(job)
  return { claims, header, tenant, decision: await subscriber.decide(claims, header, call) }
}

/** Aborts `target` when one of the sources does. The sources are held, so that none is collected while the job runs. */
function relay(sources: readonly AbortSignal[], target: AbortController): () => void {
  const releases = sources.map((source) => {
    const abort = (): void => target.abort(source.reason)
    if (source.aborted) abort()
    source.addEventListener('abort', abort, { once: true })
    return () => source.removeEventListener('abort', abort)
  })
  return () => releases.forEach((release) => release())
}

function refused(why: unknown, cause?: unknown): UnrecoverableError {
  const { code, reason } = (why ?? {}) as { code?: unknown; reason?: unknown }
  const because = typeof reason === 'string' ? ` (${reason})` : ''
  const error = new UnrecoverableError(`The job's token was refused: ${String(code)}${because}`)
  if (cause !== undefined) error.cause = cause
  return error
}

function policyOf({ maxStaleness, whenStale }: PolicyOptions): PolicyOptions {
  return {
    ...(maxStaleness === undefined ? {} : { maxStaleness }),
    ...(whenStale === undefined ? {} : { whenStale }),
  }
}

const isFunction = (value: unknown): boolean => typeof value === 'function'

function assertOptions(subscriber: unknown, processor: unknown, options: unknown): void {
  const given = (options ?? {}) as Readonly<Record<string, unknown>>
  const { decide, verify, policy, signal } = (subscriber ?? {}) as Partial<JobSubscriber>
  const problems: string[] = []
  const expect = (fine: boolean, problem: string): void => {
    if (!fine) problems.push(problem)
  }
  expect(
    [decide, verify, policy, signal].every(isFunction),
    'subscriber must be what connect() gave',
  )
  expect(isFunction(processor), 'processor must be a function')
  for (const name of Object.keys(given)) {
    const near = nearMatch(name, OPTIONS)
    const hint = near === undefined ? '' : `; is it ${near}?`
    expect(OPTIONS.includes(name), `${name} is not an option${hint}`)
  }
  const { claims, header, token, tenant, staleDelay = DEFAULT_STALE_DELAY_MS } = given
  expect(
    (claims === undefined) !== (token === undefined),
    'exactly one of claims and token must say where the job keeps its token',
  )
  expect(header === undefined || token === undefined, 'header goes with claims')
  for (const [name, value] of Object.entries({ claims, header, token })) {
    expect(value === undefined || isFunction(value), `${name} must be a function of the job`)
  }
  expect(
    tenant === undefined || isFunction(tenant) || isTenant(tenant),
    'tenant must be a tenant, or a function of the job',
  )
  const isDelay = typeof staleDelay === 'number' && Number.isFinite(staleDelay) && staleDelay >= 0
  expect(isDelay, 'staleDelay must be a number of ms, 0 or more')
  problems.push(...problemsOfPolicy(given))
  if (problems.length > 0) throw new TypeError(`knellProcessor: ${problems.join('; ')}.`)
}
