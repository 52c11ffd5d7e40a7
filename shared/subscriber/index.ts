export { connect } from './connect.ts'
export type { ConnectOptions, SubscriberLog } from './options.ts'
export type {
  EventSource,
  Freshness,
  HandledCounts,
  SubscriberEvents,
  SubscriberStats,
  VerifyResult,
} from './events.ts'
export type {
  EventOf,
  HandleOptions,
  Handler,
  HandlerContext,
  Handling,
  ReplayOptions,
} from './handlers/options.ts'
export type { ReplayCounts } from './handlers/replay.ts'
export type { RefusedWhy } from './refusals.ts'
export type { EventJwkSet, EventKeyInput, EventPem } from '../signing/event-keys.ts'
export type { Policy, PolicyOptions, WhenStale } from './policy.ts'
export type { TlsInput, TlsOptions } from './tls-options.ts'
export type { CheckOptions, Subscriber, TokenOptions } from './subscriber.ts'
export { TokenDeath } from './token-death.ts'
export type { DeathListener } from './waiters.ts'
export type { Claims, ClaimValue, Header, Match } from '../domain/claims.ts'
export type { DeathCode } from '../domain/death.ts'
export type { Decision, DecisionCode } from '../domain/decision.ts'
export type { ExpiryEvent, Kind } from '../domain/entry.ts'
export { KnellError, type ErrorCode } from '../domain/errors.ts'
export type { Reason } from '../domain/reasons.ts'
export type { Cutoff, Rule } from '../domain/rule.ts'
export type { RemoteVerifyOptions, VerifyOptions } from '../tokens/verifier.ts'
