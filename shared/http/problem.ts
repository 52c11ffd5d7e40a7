import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { isKnellError, KnellError } from '../domain/errors.ts'
import { failCall } from './trace-calls.ts'

/** The body of an error (RFC 9457), with a stable `code`. */
interface Problem {
  readonly type: 'about:blank'
  readonly status: number
  readonly code: string
  readonly title: string
  readonly detail: string
  readonly requestId?: string
}

/** What every error is, whatever the form of its answer: one with a code, in the log where it is ours, and with the time to try again. */
export function tellError(
  error: FastifyError | KnellError,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Logger,
): KnellError {
  const known = knellErrorOf(error)
  failCall(request, known)
  if (known.status >= 500) {
    log[known.code === 'internal' ? 'error' : 'warn'](
      { err: error, requestId: request.id },
      known.code,
    )
  }
  if (known.retryable) void reply.header('retry-after', String(known.retryAfterSeconds ?? 1))
  return known
}

/** What a caller is told: for faults of ours only the code and the id under which the log knows more. */
export function problemOf(
  error: KnellError,
  requestId?: string,
): Problem & Record<string, unknown> {
  const own = error.code === 'internal'
  return {
    type: 'about:blank',
    status: error.status,
    code: error.code,
    title: error.code.replaceAll('_', ' '),
    detail: own
      ? 'Something went wrong on our side; the log has more under this requestId.'
      : error.message,
    ...(own ? {} : error.details),
    ...(requestId === undefined ? {} : { requestId }),
  }
}

/** Maps what Fastify throws for a bad request to our codes. */
function knellErrorOf(error: FastifyError | KnellError): KnellError {
  if (isKnellError(error)) return error
  const cause = { cause: error }
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new KnellError(
        'body_too_large',
        'The body is over the limit; send less at a time, or NDJSON for bulk.',
        cause,
      )
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new KnellError('unsupported_media_type', 'Send content-type application/json.', cause)
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new KnellError('invalid_json', 'The body is not JSON.', cause)
    case 'FST_ERR_BAD_URL':
      return new KnellError('invalid_request', 'The path is not percent-encoded well.', cause)
    case 'ECONNRESET':
    case 'ERR_STREAM_PREMATURE_CLOSE':
      return new KnellError('invalid_request', 'The connection ended before the body did.', cause)
    default:
      if (error instanceof SyntaxError || error.statusCode === 400) {
        return new KnellError('invalid_json', 'The body is not acceptable JSON.', cause)
      }
      return ofStatus(error)
  }
}

/** What a plugin refuses, such as a path that leads out of a folder of files, is no fault of ours. */
function ofStatus(error: FastifyError): KnellError {
  const { statusCode = 500 } = error
  const cause = { cause: error }
  if (statusCode === 403 || statusCode === 404) {
    return new KnellError('not_found', 'There is nothing at this path.', cause)
  }
  if (statusCode >= 400 && statusCode < 500) {
    return new KnellError('invalid_request', 'The request cannot be served as it is.', cause)
  }
  return new KnellError('internal', 'Internal error', cause)
}
