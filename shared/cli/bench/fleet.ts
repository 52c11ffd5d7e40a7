import { connect, type Subscriber } from '../../subscriber/index.ts'
import { clockMs } from './clock.ts'
import { serve } from './serve.ts'

/** Many view instances in one process, to see what a fleet costs the store's side. */

export interface FleetOptions {
  readonly instances: number
  readonly service: string
  readonly tenants: readonly string[]
  readonly amqpUrl: string
  readonly url: string
  readonly apiKey: string
  readonly namespace: string
}

const fleet: Subscriber[] = []
let times: [string, number][] = []
/** So many connect at once. */
const AT_ONCE = 25

async function open(options: FleetOptions): Promise<void> {
  const { service, tenants, amqpUrl, url, apiKey, namespace } = options
  const subscriber = await connect({
    service,
    tenants,
    amqp: amqpUrl,
    pull: [url],
    apiKey,
    namespace,
  })
  if (fleet.length === 0) {
    subscriber.on('revoked', ({ match }) => times.push([String(match['jti']), clockMs()]))
  }
  fleet.push(subscriber)
}

const methods = {
  async start(options: FleetOptions): Promise<void> {
    for (let left = options.instances; left > 0; left -= AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, left) }, () => open(options)))
    }
  },

  /** When each revocation reached the first instance. */
  times: (): readonly [string, number][] => times,

  reset(): void {
    times = []
  },

  /** The age, ms, of the oldest view of all instances and tenants. */
  oldestMs(tenants: readonly string[]): number {
    const ages = fleet.flatMap((each) => tenants.map((tenant) => each.freshness(tenant).staleMs))
    return Math.max(...ages)
  },
}

export type Fleet = typeof methods

serve(methods)
