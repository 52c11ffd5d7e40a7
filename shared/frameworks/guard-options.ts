import { nearMatch } from '../config/near-match.ts'
import type { Claims, Header } from '../domain/claims.ts'
import { isTenant } from '../domain/tenant.ts'
import { problemsOfPolicy, type Policy, type PolicyOptions } from '../subscriber/policy.ts'
import type { VerifyResult } from '../subscriber/events.ts'
import type { CheckOptions } from '../subscriber/subscriber.ts'
import type { Refusal } from './refusal.ts'

/** What a guard needs of a subscriber. */
export interface GuardSubscriber {
  verify(token: string, options?: CheckOptions): Promise<VerifyResult>
  policy(options: PolicyOptions): Policy
  signal(claims: Claims, header?: Header, options?: { tenant?: string }): AbortSignal
}

/** How one route differs from the others. What is left out is as for all, and then as `connect` was told. */
export interface RoutePolicy<Req = unknown> extends PolicyOptions {
  /** Let requests without credentials through, without `auth`. A token that is there must be good all the same. Default: false. */
  readonly optional?: boolean
  /** The tenant whose token it must be, or a function that says so: whatever it returns but a followed tenant refuses the token. Default: told by `iss`. */
  readonly tenant?: string | ((request: Req) => string | undefined | Promise<string | undefined>)
  /** Where the token is, if not in `Authorization`, for example in a cookie. Nothing or `''`: no credentials. */
  readonly getToken?: (
    request: Req,
  ) => string | null | undefined | Promise<string | null | undefined>
}

export interface GuardOptions<Req = unknown> extends RoutePolicy<Req> {
  /** Connected with the option `verify`. */
  readonly subscriber: GuardSubscriber
  /** The realm of `WWW-Authenticate`: 1 to 100 characters of printable ASCII. Default: `api`. */
  readonly realm?: string
  /** Whether a client is told why its token was refused, such as `revoked (logout)`. Default: false. */
  readonly exposeReason?: boolean
  /** Hears of every refusal, with more than the client is told. What it throws changes nothing. Default: faults (500) go to the console. */
  readonly onRefused?: (refusal: Refusal, request: Req) => void | Promise<void>
  /** Hears of every token that was let in, such as `(token) => registrar.see(token)`. It is not waited for, and what it throws changes nothing. */
  readonly onAdmitted?: (token: string, claims: Claims, request: Req) => void | Promise<void>
}

type Checks = Readonly<Record<string, (value: unknown) => string | undefined>>

function expects(fine: (value: unknown) => boolean, wanted: string): Checks[string] {
  return (value) => (value === undefined || fine(value) ? undefined : wanted)
}

const isFunction = (value: unknown): boolean => typeof value === 'function'

export const switchCheck: Checks[string] = expects(
  (value) => typeof value === 'boolean',
  'must be true or false',
)

const routeChecks: Checks = {
  // The two of a policy are judged by the subscriber's own rules, below.
  maxStaleness: () => undefined,
  whenStale: () => undefined,
  optional: switchCheck,
  tenant: expects(
    (value) => isTenant(value) || isFunction(value),
    'must be a tenant, or a function of the request',
  ),
  getToken: expects(isFunction, 'must be a function of the request'),
}

const guardChecks: Checks = {
  ...routeChecks,
  subscriber: (value) => {
    const { verify, policy, signal } = (value ?? {}) as Partial<GuardSubscriber>
    return [verify, policy, signal].every(isFunction) ? undefined : 'must be what connect() gave'
  },
  realm: expects(
    (value) => typeof value === 'string' && /^[\u0020-\u007e]{1,100}$/.test(value),
    'must be 1 to 100 characters of printable ASCII',
  ),
  exposeReason: switchCheck,
  onRefused: expects(isFunction, 'must be a function'),
  onAdmitted: expects(isFunction, 'must be a function'),
}

function assertOptions(what: string, options: unknown, checks: Checks): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`${what}: the options must be an object.`)
  }
  const given = options as Readonly<Record<string, unknown>>
  const problems = Object.keys(given).flatMap((name) => {
    if (Object.hasOwn(checks, name)) return []
    const near = nearMatch(name, Object.keys(checks))
    return [`${name} is not an option${near === undefined ? '' : `; is it ${near}?`}`]
  })
  for (const [name, check] of Object.entries(checks)) {
    const problem = check(given[name])
    if (problem !== undefined) problems.push(`${name} ${problem}`)
  }
  problems.push(...problemsOfPolicy(given))
  if (problems.length > 0) throw new TypeError(`${what}: ${problems.join('; ')}.`)
}

/** Checks the options of a guard; those in `more` belong to its framework. @throws TypeError that lists everything wrong with them */
export function assertGuardOptions(what: string, options: unknown, more: Checks = {}): void {
  assertOptions(what, options, { ...guardChecks, ...more })
}

/** @throws TypeError that lists everything wrong with a route's policy */
export function assertRoutePolicy(what: string, policy: unknown): void {
  assertOptions(what, policy, routeChecks)
}
