import { isKnellError } from '../../domain/errors.ts'
import type { Ack } from '../../domain/ack.ts'
import type { PullClient } from '../pull-client.ts'
import type { Report } from './handled-reporter.ts'

/** Reports by `POST /v1/acks`. A notifier or poller that does not know the call yet is told nothing. */
export function createAckPoster(
  client: PullClient,
  ackOf: (tenant: string) => Ack | undefined,
): Report {
  return async (tenant, handled, handles) => {
    const body = JSON.stringify({
      ...ackOf(tenant),
      ...(handled.length > 0 ? { handled } : {}),
      ...(handles === undefined ? {} : { handles }),
    })
    try {
      const answer = await client.open({ method: 'POST', path: '/v1/acks', body })
      answer.resume()
    } catch (error) {
      if (!isUnknownCall(error)) throw error
    }
  }
}

function isUnknownCall(error: unknown): boolean {
  return isKnellError(error, 'pull_failed') && error.details?.['status'] === 404
}
