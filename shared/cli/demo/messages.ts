/** What the demo and its three services, each a process of its own, tell each other. */

export const serviceNames = ['api', 'worker', 'sessions'] as const

export type ServiceName = (typeof serviceNames)[number]

/** The environment of a service. */
export interface ServiceEnv {
  readonly AMQP_URL: string
  /** Base URLs of notifiers and pollers, parted by spaces. */
  readonly PULL_URLS: string
  readonly API_KEY: string
  readonly NAMESPACE: string
  readonly ISSUER: string
  /** A JWK set as JSON. */
  readonly JWT_KEYS: string
}

/** How old the view may be for the API's payments (ms); a service that is cut off refuses them after that. */
export const freshMs = 2_000

/** What the demo asks a service. Every answer is a decision's code or a number. */
export type Question =
  /** worker: begin a job on behalf of this token. */
  | { readonly ask: 'work'; readonly token: string }
  /** worker: what has become of the job of this token; `active` while it runs. */
  | { readonly ask: 'job'; readonly jti: string }
  /** worker: from now on take long over each event, so that it is killed in the midst of one. */
  | { readonly ask: 'linger' }
  /** api: how many ns one check of this token takes. */
  | { readonly ask: 'checkNs'; readonly token: string }

export type Asked = Question & { readonly id: number }

/** What a service had let in has been ended by it. */
export interface Ended {
  readonly type: 'ended'
  readonly jti: string
  readonly code: string
  /** `machineMs` of the moment. */
  readonly at: number
}

/** An `expired` event has reached a service. */
export interface Expired {
  readonly type: 'expired'
  readonly jti: string
  /** The moment by the wall clock (ms). */
  readonly wallMs: number
  /** When the store committed it, by the store's clock (ms). */
  readonly storeMs: number
}

/** A durable handler has begun an event, or is done with it. */
export interface Handled {
  readonly type: 'handling' | 'handled'
  /** As `aboutOf` says. */
  readonly about: string
}

export type Report =
  | { readonly type: 'ready'; readonly port: number }
  | { readonly type: 'push'; readonly state: 'up' | 'down' }
  | { readonly type: 'answer'; readonly id: number; readonly value: string | number }
  | Ended
  | Expired
  | Handled

/** What an event is about, as both sides write it: a match, or the `jti` of a token that has expired. */
export function aboutOf(event: { readonly match: object } | { readonly jti: string }): string {
  if (!('match' in event)) return event.jti
  return JSON.stringify(Object.entries(event.match).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** A clock that nobody sets and that all processes of this machine share, so that readings of different ones compare. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
