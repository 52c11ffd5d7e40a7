import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import type { ErrorCode, KnellError } from '../../shared/domain/errors.ts'
import { tellError } from '../../shared/http/problem.ts'

/** Codes that are errors of OAuth by the same name (RFC 6749, section 5.2; RFC 7009, section 2.2.1). */
const OWN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'invalid_request',
  'invalid_client',
  'unauthorized_client',
  'unsupported_token_type',
  'unsupported_grant_type',
  'invalid_scope',
])

/** What a refresh token is not good for, whyever (RFC 6749, section 5.2). */
const INVALID_GRANTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'refresh_token_invalid',
  'refresh_token_reused',
  'session_ended',
  'session_revoked',
  'session_held',
  'grant_refused',
])

/** The challenges of RFC 7617 and RFC 6750, section 3. */
const CHALLENGES: Partial<Record<ErrorCode, string>> = {
  invalid_client: 'Basic realm="knell"',
  unauthorized: 'Bearer realm="knell", error="invalid_token"',
  forbidden: 'Bearer realm="knell", error="insufficient_scope"',
}

/** What is otherwise said of JSON. */
const DESCRIPTIONS: Partial<Record<ErrorCode, string>> = {
  unsupported_media_type: 'Send content-type application/x-www-form-urlencoded.',
  body_too_large: 'The body is over the limit.',
}

/** The error of OAuth that a code travels as. */
function oauthErrorOf({ code, status }: KnellError): string {
  if (OWN.has(code)) return code
  if (INVALID_GRANTS.has(code)) return 'invalid_grant'
  if (code === 'unauthorized') return 'invalid_token'
  if (code === 'forbidden') return 'insufficient_scope'
  if (status === 429 || status === 503) return 'temporarily_unavailable'
  return status >= 500 ? 'server_error' : 'invalid_request'
}

/** Only printable ASCII without `"` and `\` may stand in it (RFC 6749, section 5.2). */
function plain(text: string): string {
  return text.replaceAll(/["\u2018\u2019\u201c\u201d\\]/g, "'").replaceAll(/[^\u0020-\u007e]/g, '?')
}

/** Answers an error as RFC 6749, section 5.2, has it: what is ours goes to the log, and no part of it to the caller. */
export function answerOAuthError(
  error: FastifyError | KnellError,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Logger,
): void {
  const known = tellError(error, request, reply, log)
  const challenge = CHALLENGES[known.code]
  if (challenge !== undefined) void reply.header('www-authenticate', challenge)
  const description =
    known.code === 'internal'
      ? `Something went wrong on our side; the log has more under ${request.id}.`
      : (DESCRIPTIONS[known.code] ?? known.message)
  const word = oauthErrorOf(known)
  void reply
    .status(word === 'invalid_grant' ? 400 : known.status)
    .header('content-type', 'application/json')
    .header('cache-control', 'no-store')
    .header('pragma', 'no-cache')
    .send(JSON.stringify({ error: word, error_description: plain(description) }))
}
