import type { Ack } from '../../domain/ack.ts'
import { isRecord } from '../../domain/entry.ts'
import type { PullClient } from '../pull-client.ts'
import type { Report } from './handled-reporter.ts'

/** Reports by `POST /v1/acks`, so that what was taken is in the store. */
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
    const answer = await client.json({ method: 'POST', path: '/v1/acks', body })
    return isRecord(answer) && answer['unregistered'] === true ? 'unregistered' : 'taken'
  }
}
