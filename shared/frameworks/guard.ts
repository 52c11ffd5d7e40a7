import type { Claims, Header } from '../domain/claims.ts'
import type { Decision } from '../domain/decision.ts'
import type { VerifyResult } from '../subscriber/events.ts'
import type { PolicyOptions } from '../subscriber/policy.ts'
import { givenCredentials, readCredentials, type RequestHead } from './credentials.ts'
import {
  assertGuardOptions,
  assertRoutePolicy,
  type GuardOptions,
  type GuardSubscriber,
  type RoutePolicy,
} from './guard-options.ts'
import {
  internal,
  invalidRequest,
  invalidToken,
  unauthorized,
  unavailable,
  type Refusal,
} from './refusal.ts'

/** What is known of the token of a request that was let through. */
export interface TokenContext {
  readonly decision: Decision
  readonly header: Header
  readonly tenant: string
  /** Aborts when this token dies. It is made when it is first asked for. */
  readonly signal: AbortSignal
}

export interface Admission {
  readonly ok: true
  /** The verified claims; absent where credentials are optional and none came. */
  readonly auth?: Claims
  readonly knell?: TokenContext
}

/** Decides on one request. Never throws: a fault is a refusal. */
export interface Guard<Req> {
  (request: Req): Promise<Admission | Refusal>
  /** The same guard with another policy. @throws TypeError that lists everything wrong with it */
  with(policy: RoutePolicy<Req>): Guard<Req>
}

/** A request as a framework gives it: Node's own, or with Node's own in `raw`. */
export type GuardedRequest = RequestHead & { readonly raw?: RequestHead }

const ANONYMOUS: Admission = Object.freeze({ ok: true })
const DEFAULT_REALM = 'api'

/** Codes that say something of the view and nothing of the token. */
const UNAVAILABLE: ReadonlySet<string> = new Set(['stale', 'not_ready'])

/**
 * The part that all web frameworks share: takes the token of a request (RFC 6750, section 2.1),
 * lets the subscriber verify and decide, and says what is to be answered where it is refused.
 * @throws TypeError that lists everything wrong with the options
 */
export function createGuard<Req extends GuardedRequest>(options: GuardOptions<Req>): Guard<Req> {
  assertGuardOptions('createGuard', options)
  return guardOf({ ...options })
}

/** For options that have been checked. */
export function guardOf<Req extends GuardedRequest>(options: GuardOptions<Req>): Guard<Req> {
  // Tells the subscriber what this guard may ask for, before the first request asks for it.
  options.subscriber.policy(policyOf(options))
  const guard = async (request: Req): Promise<Admission | Refusal> => {
    const outcome = await decide(options, request).catch(internal)
    if (!outcome.ok) tell(options, outcome, request)
    return outcome
  }
  return Object.assign(guard, {
    with: (policy: RoutePolicy<Req>): Guard<Req> => {
      assertRoutePolicy('policy', policy)
      return guardOf({ ...options, ...withoutGaps(policy) })
    },
  })
}

/** A member that is there but undefined means "as for all", so it must not lift what holds for all. */
function withoutGaps<T extends object>(members: T): Partial<T> {
  const given = Object.entries(members).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given) as Partial<T>
}

function policyOf({ maxStaleness, whenStale }: PolicyOptions): PolicyOptions {
  return {
    ...(maxStaleness === undefined ? {} : { maxStaleness }),
    ...(whenStale === undefined ? {} : { whenStale }),
  }
}

async function decide<Req extends GuardedRequest>(
  options: GuardOptions<Req>,
  request: Req,
): Promise<Admission | Refusal> {
  const { subscriber, getToken, realm = DEFAULT_REALM, exposeReason = false } = options
  const wording = { realm, exposeReason }
  const credentials =
    getToken === undefined
      ? readCredentials(headOf(request))
      : givenCredentials(await getToken(request))
  switch (credentials.kind) {
    case 'none':
      return options.optional === true ? ANONYMOUS : unauthorized(wording)
    case 'malformed':
      return invalidRequest(wording, credentials.detail)
    case 'too_large':
      return invalidToken(wording, 'token_too_large')
    case 'token': {
      const tenant = await tenantOf(options, request)
      const result = await subscriber.verify(credentials.token, {
        ...policyOf(options),
        ...(tenant === undefined ? {} : { tenant }),
      })
      const outcome = toOutcome(subscriber, result, wording)
      if (outcome.ok) admit(options, credentials.token, outcome.auth ?? {}, request)
      return outcome
    }
  }
}

/** Node's own request has its raw headers; what a body parser may have put into its `raw` is not looked at. */
function headOf(request: GuardedRequest): RequestHead {
  return request.rawHeaders === undefined ? (request.raw ?? request) : request
}

/** A tenant function that finds none must not mean "any tenant", so it names one that nobody has. */
async function tenantOf<Req>(
  { tenant }: GuardOptions<Req>,
  request: Req,
): Promise<string | undefined> {
  if (typeof tenant !== 'function') return tenant
  const found: unknown = await tenant(request)
  return typeof found === 'string' ? found : ''
}

function toOutcome(
  subscriber: GuardSubscriber,
  { claims, header, tenant, ...decision }: VerifyResult,
  wording: { realm: string; exposeReason: boolean },
): Admission | Refusal {
  if (!decision.active) {
    if (UNAVAILABLE.has(decision.code)) return unavailable(decision)
    return invalidToken(wording, decision.code, decision)
  }
  if (claims === undefined || header === undefined || tenant === undefined) {
    throw new TypeError('verify let a token in without its claims.')
  }
  let signal: AbortSignal | undefined
  const knell: TokenContext = {
    decision,
    header,
    tenant,
    get signal() {
      return (signal ??= subscriber.signal(claims, header, { tenant }))
    },
  }
  return { ok: true, auth: claims, knell }
}

/** The hook may look, but neither its answer nor its fault changes what is answered. */
function tell<Req>({ onRefused }: GuardOptions<Req>, refusal: Refusal, request: Req): void {
  if (onRefused === undefined) {
    if (refusal.status === 500) complain(refusal.cause)
    return
  }
  const heard = (async () => onRefused(refusal, request))()
  heard.catch(complain)
}

/** As `tell`, of a token that was let in. */
function admit<Req>(
  { onAdmitted }: GuardOptions<Req>,
  token: string,
  claims: Claims,
  request: Req,
): void {
  if (onAdmitted === undefined) return
  const heard = (async () => onAdmitted(token, claims, request))()
  heard.catch(complain)
}

/** A fault that nobody listens for must be seen somewhere. */
function complain(error: unknown): void {
  // oxlint-disable-next-line no-console
  console.error('knell: a fault while guarding a request', error)
}
