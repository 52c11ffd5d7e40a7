export type ErrorCode =
  | 'invalid_request'
  | 'invalid_json'
  | 'invalid_match'
  | 'invalid_position'
  | 'unsupported_media_type'
  | 'body_too_large'
  | 'not_found'
  | 'unknown_tenant'
  | 'unauthorized'
  | 'forbidden'
  | 'certificate_needed'
  | 'method_not_allowed'
  | 'invalid_client'
  | 'unauthorized_client'
  | 'unsupported_token_type'
  | 'idempotency_conflict'
  | 'too_many_requests'
  | 'token_malformed'
  | 'token_too_large'
  | 'token_alg_refused'
  | 'token_header_refused'
  | 'token_unknown_key'
  | 'token_signature_invalid'
  | 'token_wrong_issuer'
  | 'token_wrong_audience'
  | 'token_wrong_type'
  | 'token_claims_invalid'
  | 'token_not_yet_valid'
  | 'token_expired'
  | 'quota_exceeded'
  | 'token_too_long_lived'
  | 'no_verification_key'
  | 'keys_unavailable'
  | 'grant_refused'
  | 'unknown_key'
  | 'key_too_new'
  | 'too_many_keys'
  | 'refresh_token_invalid'
  | 'refresh_token_reused'
  | 'session_exists'
  | 'session_ended'
  | 'session_revoked'
  | 'session_held'
  | 'invalid_scope'
  | 'unsupported_grant_type'
  | 'issued_before_in_future'
  | 'too_many_cutoffs'
  | 'too_many_shapes'
  | 'rule_too_large'
  | 'unknown_revocation'
  | 'time_out_of_range'
  | 'too_many_schedules'
  | 'unknown_schedule'
  | 'too_many_instances'
  | 'foreign_instance'
  | 'store_unavailable'
  | 'store_full'
  | 'store_reserved'
  | 'store_mismatch'
  | 'store_corrupt'
  | 'store_epoch_changed'
  | 'commit_too_old'
  | 'broker_unavailable'
  | 'broker_nacked'
  | 'broker_topology'
  | 'message_invalid'
  | 'event_unsigned'
  | 'event_signature_invalid'
  | 'event_foreign_tenant'
  | 'event_replayed'
  | 'not_handled'
  | 'too_many_services'
  | 'unknown_service'
  | 'no_handler'
  | 'handler_timeout'
  | 'feed_trimmed'
  | 'shutting_down'
  | 'config_invalid'
  | 'tls_failed'
  | 'pull_failed'
  | 'call_failed'
  | 'check_refused'
  | 'internal'

interface CodeRow {
  readonly status: number
  readonly retryable: boolean
}

/**
 * Every code an error of Knell can carry, with the HTTP status it travels as and whether the same
 * call may succeed later without a change (`retryable`). One table: the HTTP layer, the clients
 * and the docs are all held to it.
 */
export const errorCodes: Readonly<Record<ErrorCode, CodeRow>> = {
  // The caller's request
  invalid_request: { status: 400, retryable: false },
  invalid_json: { status: 400, retryable: false },
  invalid_match: { status: 400, retryable: false },
  invalid_position: { status: 400, retryable: false },
  unsupported_media_type: { status: 415, retryable: false },
  body_too_large: { status: 413, retryable: false },
  not_found: { status: 404, retryable: false },
  unknown_tenant: { status: 404, retryable: false },
  unauthorized: { status: 401, retryable: false },
  forbidden: { status: 403, retryable: false },
  certificate_needed: { status: 403, retryable: false },
  idempotency_conflict: { status: 422, retryable: false },
  too_many_requests: { status: 429, retryable: true },
  // OAuth clients
  method_not_allowed: { status: 405, retryable: false },
  invalid_client: { status: 401, retryable: false },
  unauthorized_client: { status: 403, retryable: false },
  unsupported_token_type: { status: 400, retryable: false },
  // Tokens
  token_malformed: { status: 400, retryable: false },
  token_too_large: { status: 400, retryable: false },
  token_alg_refused: { status: 400, retryable: false },
  token_header_refused: { status: 400, retryable: false },
  token_unknown_key: { status: 400, retryable: false },
  token_signature_invalid: { status: 400, retryable: false },
  token_wrong_issuer: { status: 400, retryable: false },
  token_wrong_audience: { status: 400, retryable: false },
  token_wrong_type: { status: 400, retryable: false },
  token_claims_invalid: { status: 400, retryable: false },
  token_not_yet_valid: { status: 400, retryable: false },
  token_expired: { status: 400, retryable: false },
  quota_exceeded: { status: 429, retryable: true },
  token_too_long_lived: { status: 400, retryable: false },
  no_verification_key: { status: 400, retryable: false },
  keys_unavailable: { status: 503, retryable: true },
  grant_refused: { status: 403, retryable: false },
  unknown_key: { status: 404, retryable: false },
  key_too_new: { status: 409, retryable: true },
  too_many_keys: { status: 409, retryable: true },
  // Sessions
  refresh_token_invalid: { status: 400, retryable: false },
  refresh_token_reused: { status: 400, retryable: false },
  session_exists: { status: 409, retryable: false },
  session_ended: { status: 400, retryable: false },
  session_revoked: { status: 400, retryable: false },
  session_held: { status: 400, retryable: false },
  invalid_scope: { status: 400, retryable: false },
  unsupported_grant_type: { status: 400, retryable: false },
  // Rules
  issued_before_in_future: { status: 422, retryable: false },
  too_many_cutoffs: { status: 422, retryable: false },
  too_many_shapes: { status: 422, retryable: false },
  rule_too_large: { status: 422, retryable: false },
  unknown_revocation: { status: 404, retryable: false },
  time_out_of_range: { status: 422, retryable: false },
  too_many_schedules: { status: 422, retryable: false },
  unknown_schedule: { status: 404, retryable: false },
  // Instances of subscribers
  too_many_instances: { status: 429, retryable: true },
  foreign_instance: { status: 403, retryable: false },
  // The store
  store_unavailable: { status: 503, retryable: true },
  store_full: { status: 503, retryable: true },
  store_reserved: { status: 503, retryable: true },
  store_mismatch: { status: 503, retryable: false },
  store_corrupt: { status: 503, retryable: false },
  store_epoch_changed: { status: 503, retryable: true },
  commit_too_old: { status: 503, retryable: true },
  // The broker
  broker_unavailable: { status: 503, retryable: true },
  broker_nacked: { status: 503, retryable: true },
  broker_topology: { status: 503, retryable: false },
  message_invalid: { status: 400, retryable: false },
  event_unsigned: { status: 400, retryable: false },
  event_signature_invalid: { status: 400, retryable: false },
  event_foreign_tenant: { status: 400, retryable: false },
  event_replayed: { status: 400, retryable: false },
  // Handlers
  not_handled: { status: 503, retryable: false },
  too_many_services: { status: 422, retryable: false },
  unknown_service: { status: 404, retryable: false },
  no_handler: { status: 503, retryable: true },
  handler_timeout: { status: 503, retryable: true },
  feed_trimmed: { status: 410, retryable: false },
  // The process
  shutting_down: { status: 503, retryable: true },
  config_invalid: { status: 500, retryable: false },
  tls_failed: { status: 503, retryable: true },
  pull_failed: { status: 503, retryable: true },
  call_failed: { status: 503, retryable: true },
  check_refused: { status: 403, retryable: false },
  internal: { status: 500, retryable: false },
}

/** The one error class of Knell. Decide by `code`, never by `message`; the cause, where there is one, is in `cause`. */
export class KnellError extends Error {
  readonly code: ErrorCode
  /** Facts that help the caller, safe to show to it: never a token or a secret. */
  readonly details: Readonly<Record<string, unknown>> | undefined
  /** When the same call may be worth sending again, where that is known. */
  readonly retryAfterSeconds: number | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      cause?: unknown
      details?: Readonly<Record<string, unknown>>
      retryAfterSeconds?: number
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'KnellError'
    this.code = code
    this.details = options.details
    this.retryAfterSeconds = options.retryAfterSeconds
  }

  get status(): number {
    return errorCodes[this.code].status
  }

  get retryable(): boolean {
    return errorCodes[this.code].retryable
  }
}

export function isKnellError(error: unknown, code?: ErrorCode): error is KnellError {
  return error instanceof KnellError && (code === undefined || error.code === code)
}

/** An error as it is told: one of Knell's as it is, any other under this code, as its cause. */
export function toKnellError(error: unknown, code: ErrorCode): KnellError {
  if (isKnellError(error)) return error
  return new KnellError(code, error instanceof Error ? error.message : String(error), {
    cause: error,
  })
}
