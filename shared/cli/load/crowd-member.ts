import { serve } from '../bench/serve.ts'
import { connect, type Subscriber } from '../../subscriber/index.ts'

/** Many instances of consuming services in one process. */

export interface MemberOptions {
  readonly instances: number
  readonly amqpUrl: string
  readonly urls: readonly string[]
  readonly apiKey: string
  readonly namespace: string
}

export interface CrowdState {
  /** How many have their connection to RabbitMQ. */
  readonly up: number
  /** The age of the oldest view, and how many are older than they say a view may be. */
  readonly oldestMs: number
  readonly stale: number
  /** Snapshots taken and pulls made, by all of them together. */
  readonly snapshots: number
  readonly pulls: number
}

/** So many connect at once. */
const AT_ONCE = 25
/** A service lets nobody in when its view is older. */
const STALE_MS = 10_000

const crowd: Subscriber[] = []

const methods = {
  async start({ instances, urls, amqpUrl, apiKey, namespace }: MemberOptions): Promise<void> {
    const open = async (): Promise<void> => {
      crowd.push(
        await connect({
          service: 'crowd',
          amqp: amqpUrl,
          pull: urls,
          apiKey,
          namespace,
          maxStaleness: STALE_MS,
        }),
      )
    }
    for (let left = instances; left > 0; left -= AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, left) }, open))
    }
  },

  state(): CrowdState {
    const ages = crowd.map((each) => each.freshness().staleMs)
    const sum = (of: (each: Subscriber) => number): number =>
      crowd.reduce((total, each) => total + of(each), 0)
    return {
      up: crowd.filter((each) => each.stats.push === 'up').length,
      oldestMs: Math.max(...ages),
      stale: ages.filter((age) => age > STALE_MS).length,
      snapshots: sum((each) => each.stats.snapshots),
      pulls: sum((each) => each.stats.pulls),
    }
  },

  /** How many of them refuse this token. */
  refuse: (jti: string, iat: number): number =>
    crowd.filter((each) => each.check({ jti, iat, exp: iat + 3600 }).code === 'revoked').length,
}

export type CrowdMember = typeof methods

serve(methods)
