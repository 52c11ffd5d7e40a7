import { expect } from 'chai'
import type { QueueReport } from '../../shared/queues/queue-health.ts'
import { eventually } from './eventually.ts'
import { call } from './system.ts'

/** What `GET /v1/queues` of a process answers. */
export async function queuesOf(
  process: { readonly url: string },
  { apiKey }: { readonly apiKey: string },
): Promise<QueueReport> {
  const { status, body } = await call(process, apiKey, '/v1/queues')
  expect(status).to.equal(200)
  return body as unknown as QueueReport
}

export function reasonsOf({ parts }: QueueReport, name: string): readonly string[] {
  return parts.find(({ part }) => part === name)?.reasons ?? []
}

/** Asks until the answer is as it should be: sources tell some seconds late, and their answers are kept for ten. */
export async function untilQueues(
  process: { readonly url: string },
  system: { readonly apiKey: string },
  accepts: (report: QueueReport) => boolean,
): Promise<QueueReport> {
  let last: QueueReport | undefined
  try {
    await eventually(
      async () => {
        last = await queuesOf(process, system)
        return accepts(last)
      },
      { timeoutMs: 60_000, intervalMs: 200 },
    )
  } catch (error) {
    throw new Error(`The last answer was ${JSON.stringify(last)}`, { cause: error })
  }
  return last as QueueReport
}
