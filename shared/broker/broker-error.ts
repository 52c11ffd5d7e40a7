import { isKnellError, KnellError } from '../domain/errors.ts'
import { tlsProblemOf } from '../tls/tls-problem.ts'

/** What RabbitMQ or the driver said, as a coded error that says what to do. */
export function toBrokerError(error: unknown): KnellError {
  if (isKnellError(error)) return error
  const tls = tlsProblemOf(error)
  if (tls !== undefined) {
    return new KnellError('tls_failed', `RabbitMQ ${tls}.`, { cause: error })
  }
  const text = error instanceof Error ? error.message : String(error)
  const code = (error as { code?: unknown } | null)?.code
  if (code === 403 || text.includes('ACCESS-REFUSED') || text.includes('ACCESS_REFUSED')) {
    return new KnellError(
      'broker_topology',
      `RabbitMQ refuses access: ${text}; check the user, its password and its permissions.`,
      { cause: error },
    )
  }
  if (code === 404 || code === 406) {
    return new KnellError(
      'broker_topology',
      `RabbitMQ's exchanges or queues differ from what is expected: ${text}`,
      { cause: error },
    )
  }
  if (text.includes('Expected ConnectionOpenOk')) {
    return new KnellError(
      'broker_topology',
      'RabbitMQ has no such virtual host, or the user may not use it; check AMQP_URL.',
      {
        cause: error,
      },
    )
  }
  return new KnellError('broker_unavailable', `RabbitMQ is not reachable: ${text}`, {
    cause: error,
  })
}
