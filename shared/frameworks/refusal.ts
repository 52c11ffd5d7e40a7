import type { Decision } from '../domain/decision.ts'
import { isReason } from '../domain/reasons.ts'

/** A request that is not let through, and the answer that it gets. */
export interface Refusal {
  readonly ok: false
  readonly status: 400 | 401 | 403 | 500 | 503
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** A problem document (RFC 9457), as JSON text. */
  readonly body: string
  /** Why, for logs and metrics: the decision's code, or one of the others of a body. The client may be told less. */
  readonly code: string
  /** What was decided on the token, where it came to that. */
  readonly decision?: Decision
  /** The fault behind a 500. */
  readonly cause?: unknown
}

/** How refusals are worded. */
export interface Wording {
  /** The realm of `WWW-Authenticate`: printable ASCII. */
  readonly realm: string
  /** Whether the client is told why its token was refused. */
  readonly exposeReason: boolean
}

interface Problem {
  readonly status: Refusal['status']
  readonly code: string
  readonly detail: string
  readonly reason?: string
}

/** Seconds after which a view that was stale or not ready is likely to be fresh again: about a beat. */
const RETRY_AFTER = '2'

/** RFC 9110, section 5.6.4. Whatever a quoted string cannot hold is left out, so that no value ends a header. */
function quoted(text: string): string {
  return `"${text.replaceAll(/[^\u0020-\u007e]/g, '').replaceAll(/["\\]/g, String.raw`\$&`)}"`
}

/** `error_description` may hold neither quotes nor backslashes (RFC 6750, section 3). */
function challenge(realm: string, error?: string, description = ''): string {
  const named = `Bearer realm=${quoted(realm)}`
  if (error === undefined) return named
  const plain = description.replaceAll(/[^\u0020-\u0021\u0023-\u005b\u005d-\u007e]/g, '')
  return `${named}, error="${error}", error_description="${plain}"`
}

function refusal(
  problem: Problem,
  headers: Readonly<Record<string, string>>,
  more: Partial<Pick<Refusal, 'code' | 'decision' | 'cause'>> = {},
): Refusal {
  const { status, code, detail, reason } = problem
  const title = code.replaceAll('_', ' ')
  const extra = reason === undefined ? {} : { reason }
  return {
    ok: false,
    status,
    headers: {
      ...headers,
      'cache-control': 'no-store',
      // The charset says nothing new, but frameworks that add one then agree with those that do not.
      'content-type': 'application/problem+json; charset=utf-8',
    },
    body: JSON.stringify({ type: 'about:blank', status, code, title, detail, ...extra }),
    code,
    ...more,
  }
}

/** No credentials came: the challenge names no error (RFC 6750, section 3.1). */
export function unauthorized({ realm }: Wording): Refusal {
  const detail = 'Send "Authorization: Bearer <token>".'
  const headers = { 'www-authenticate': challenge(realm) }
  return refusal({ status: 401, code: 'unauthorized', detail }, headers)
}

/** Credentials came that follow no grammar. */
export function invalidRequest({ realm }: Wording, detail: string): Refusal {
  const headers = { 'www-authenticate': challenge(realm, 'invalid_request', detail) }
  return refusal({ status: 400, code: 'invalid_request', detail }, headers)
}

/** A token that is dead or was never good. Unless told otherwise the client cannot tell one from another. */
export function invalidToken(wording: Wording, code: string, decision?: Decision): Refusal {
  const more = { code, ...(decision === undefined ? {} : { decision }) }
  const { realm } = wording
  // A decision of the store came over the network, so only what it can say is passed on.
  if (!wording.exposeReason || !/^[a-z_]{1,64}$/.test(code)) {
    const detail = 'The token is not valid, or no longer.'
    const headers = { 'www-authenticate': challenge(realm, 'invalid_token', detail) }
    return refusal({ status: 401, code: 'invalid_token', detail }, headers, more)
  }
  const reason = isReason(decision?.reason) ? decision.reason : undefined
  const detail = `The token was refused: ${code}${reason === undefined ? '' : ` (${reason})`}.`
  const headers = { 'www-authenticate': challenge(realm, 'invalid_token', detail) }
  const problem = {
    status: 401,
    code,
    detail,
    ...(reason === undefined ? {} : { reason }),
  } as const
  return refusal(problem, headers, more)
}

/** The token is alive but does not go far enough (RFC 6750, section 3.1). */
export function insufficientScope({ realm }: Wording, scopes: readonly string[]): Refusal {
  const detail = 'The token has not every scope that this needs.'
  const named = challenge(realm, 'insufficient_scope', detail)
  const headers = { 'www-authenticate': `${named}, scope=${quoted(scopes.join(' '))}` }
  return refusal({ status: 403, code: 'insufficient_scope', detail }, headers)
}

/** The view is too old, or has not begun, to say that the token is alive. It is no fault of the token, so it is no 401. */
export function unavailable(decision: Decision): Refusal {
  const detail = 'It is not known at the moment whether the token is still alive. Try again.'
  return refusal(
    { status: 503, code: decision.code, detail },
    { 'retry-after': RETRY_AFTER },
    { decision },
  )
}

/** A fault of ours or of a hook. The client learns nothing of it. */
export function internal(cause: unknown): Refusal {
  const detail = 'Something went wrong on our side.'
  return refusal({ status: 500, code: 'internal', detail }, {}, { cause })
}
