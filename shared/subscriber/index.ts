export { connect } from './connect.ts'
export type { ConnectOptions, SubscriberLog } from './options.ts'
export type {
  EventSource,
  Subscriber,
  SubscriberEvents,
  SubscriberStats,
  VerifyResult,
} from './subscriber.ts'
export type { Claims, ClaimValue, Header, Match } from '../domain/claims.ts'
export type { Decision, DecisionCode } from '../domain/decision.ts'
export type { ExpiryEvent, Kind } from '../domain/entry.ts'
export { KnellError, type ErrorCode } from '../domain/errors.ts'
export type { Reason } from '../domain/reasons.ts'
export type { Cutoff, Rule } from '../domain/rule.ts'
export type { VerifyOptions } from '../tokens/verifier.ts'
