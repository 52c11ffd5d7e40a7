import type { HealthReport } from '../../http/health.ts'
import type { Queues } from './show-queues.ts'
import { ApiProblem, type ApiClient } from '../client/api-client.ts'

/** An instance, as `GET /v1/subscribers` shows it. */
export interface SubscriberShown {
  readonly service: string
  readonly instance: string
  readonly state: string
  readonly lastSeenMs: number
  readonly staleMs: number | null
  readonly maxStalenessMs: number | null
  readonly behind: number | null
  readonly user?: string
  readonly key?: string
}

export interface Subscribers {
  readonly tenant: string
  readonly at: number
  readonly subscribers: readonly SubscriberShown[]
  readonly handlers: readonly { readonly service: string; readonly [member: string]: unknown }[]
}

/** What one sweep did; the counts are named as `GET /v1/sweeps` names them. */
export interface SweepReport {
  readonly at: number
  readonly trigger: string
  readonly durationMs: number
  readonly [count: string]: unknown
}

/** What `GET /v1/overview` answers, as far as it is shown. */
export interface Overview {
  readonly enforced: {
    readonly verdict: string
    readonly reason?: string
    readonly slowest: { readonly service: string; readonly instance: string } | null
  }
  readonly push: { readonly p50Ms: number | null; readonly p99Ms: number | null }
  readonly revocationsPerSecond: number | null
  readonly expiriesPerSecond: number | null
  readonly tokensWaiting: number | null
  readonly rules: number | null
}

/** Everything that `knell status` shows. What the process does not offer, or the key may not see, is absent. */
export interface Status {
  readonly url: string
  readonly health: HealthReport
  readonly overview?: Overview
  readonly subscribers?: Subscribers
  readonly queues?: Queues
  readonly sweep?: SweepReport
  /** What could not be read, and why. */
  readonly missing: Readonly<Record<string, string>>
}

/** Why a part is missing that another kind or version of process would tell. */
export const NOT_OFFERED = 'this process does not offer it'

/** Whether something fails, or the key was told less than the process knows. */
export function isFailing({ health, overview, queues, missing }: Status): boolean {
  const verdicts = [health.status, overview?.enforced.verdict, queues?.verdict]
  return verdicts.includes('failing') || Object.values(missing).some((why) => why !== NOT_OFFERED)
}

export async function readStatus(client: ApiClient): Promise<Status> {
  const { url, tenant } = client.connection
  const missing: Record<string, string> = {}
  let wrongKey: string | undefined
  const read = async <T>(
    name: string,
    path: string,
    query = {},
  ): Promise<Partial<Record<string, T>>> => {
    if (wrongKey !== undefined) {
      missing[name] = wrongKey
      return {}
    }
    try {
      const found = await client.optional<T>(path, { query })
      if (found !== undefined) return { [name]: found }
      missing[name] = NOT_OFFERED
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error
      missing[name] = error.message
      if (error.status === 401 || error.status === 429) wrongKey = error.message
    }
    return {}
  }
  const health = await readHealth(client)
  // First, and alone: a wrong key is counted as a failure, and too many are locked out.
  const overview = await read<Status['overview']>('overview', '/v1/overview')
  const [subscribers, queues, sweeps] = await Promise.all([
    read<Subscribers>('subscribers', '/v1/subscribers', { tenant }),
    read<Status['queues']>('queues', '/v1/queues'),
    read<{ sweeps: SweepReport[] }>('sweeps', '/v1/sweeps', { limit: 1 }),
  ])
  const sweep = sweeps['sweeps']?.sweeps[0]
  return {
    url: url.origin,
    health,
    ...overview,
    ...subscribers,
    ...queues,
    ...(sweep === undefined ? {} : { sweep }),
    missing,
  }
}

/** Health needs no key, and is told with a 503 as well. */
export async function readHealth(client: ApiClient): Promise<HealthReport> {
  const response = await client.open('/readyz')
  const text = await response.text()
  try {
    const report = JSON.parse(text) as HealthReport
    if (typeof report.status === 'string' && 'store' in report) return report
  } catch {
    // Told below.
  }
  throw new ApiProblem(
    response.status,
    `${client.connection.url.origin} answers /readyz with ${response.status} and nothing of Knell's. Is that a notifier?`,
    { status: response.status, code: 'foreign_answer' },
  )
}
