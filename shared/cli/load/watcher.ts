import { clockMs } from '../bench/clock.ts'
import { serve } from '../bench/serve.ts'
import { connect, type Subscriber } from '../../subscriber/index.ts'
import type { Claims } from '../../domain/claims.ts'
import type { DecisionCode } from '../../domain/decision.ts'

/** A consuming service that notes when single revocations reach it, and which tokens it hears to have expired. */

export interface WatcherOptions {
  readonly tenants?: readonly string[]
  readonly amqpUrl: string
  readonly urls: readonly string[]
  readonly apiKey: string
  readonly namespace: string
  readonly maxStaleness?: number
  /** Tokens whose `sub` is `u<number>` below this are counted when they expire; absent, nobody listens for them. */
  readonly tokens?: number
}

/** What was heard of expired tokens. */
export interface Expiries {
  readonly heard: number
  readonly twice: number
  /** Announced before their `exp`, by the store's clock. */
  readonly early: number
  readonly lastAt: number
}

let subscriber: Subscriber | undefined
let times: [string, number][] = []
let seen = new Uint8Array(0)
let [heard, twice, early, lastAt] = [0, 0, 0, 0]

const methods = {
  pid: (): number => process.pid,

  async start(options: WatcherOptions): Promise<void> {
    const { tokens, amqpUrl, urls, maxStaleness, tenants, apiKey, namespace } = options
    subscriber = await connect({
      service: 'load',
      amqp: amqpUrl,
      pull: urls,
      apiKey,
      namespace,
      ...(tenants && { tenants }),
      ...(maxStaleness !== undefined && { maxStaleness }),
    })
    subscriber.on('revoked', ({ match, reason }) => {
      // Those of a flood bear another reason.
      if (reason === 'logout') times.push([String(match['jti']), clockMs()])
    })
    if (tokens === undefined) return
    seen = new Uint8Array(tokens)
    subscriber.on('expired', ({ sub = '', exp }, { at }) => {
      const index = Number(sub.slice(1))
      if (seen[index] === 0) heard += 1
      else twice += 1
      seen[index] = 1
      if (at < exp * 1000) early += 1
      lastAt = Date.now()
    })
  },

  /** When each single revocation came since the last call. */
  times(): readonly [string, number][] {
    const taken = times
    times = []
    return taken
  },

  expiries: (): Expiries => ({ heard, twice, early, lastAt }),

  check(all: readonly Claims[]): readonly { code: DecisionCode; active: boolean; asOf: number }[] {
    return all.map((claims) => {
      const { code, active, asOf } = subscriber?.check(claims) ?? {
        code: 'not_ready',
        active: false,
        asOf: 0,
      }
      return { code, active, asOf }
    })
  },

  state: (): {
    readonly snapshots: number
    readonly trimmed: number
    readonly rules: number
    /** The oldest of its views. */
    readonly staleMs: number
    readonly asOf: number
    readonly rss: number
  } => ({
    snapshots: subscriber?.stats.snapshots ?? 0,
    trimmed: subscriber?.stats.trimmed ?? 0,
    rules: subscriber?.stats.rules ?? 0,
    staleMs: Math.max(
      ...(subscriber?.tenants.map((each) => subscriber?.freshness(each).staleMs ?? Infinity) ?? [
        Infinity,
      ]),
    ),
    asOf: subscriber?.freshness().asOf ?? 0,
    rss: process.memoryUsage.rss(),
  }),
}

export type Watcher = typeof methods

serve(methods)
