import { connect, type EventKeyInput } from '../../subscriber/index.ts'
import { openBareConsumer } from './bare.ts'
import { clockMs } from './clock.ts'
import { serve } from './serve.ts'

/** A consuming service: it notes when what reaches it, through Knell's subscriber or bare. */

export interface ListenerOptions {
  readonly amqpUrl: string
  readonly exchange: string
  /** Absent: bare messages only. */
  readonly knell?: { readonly url: string; readonly apiKey: string; readonly namespace: string }
  readonly expiries?: boolean
  /** The keys to pin. */
  readonly eventKeys?: EventKeyInput
}

/** What arrived since the last reset. Times are of `clockMs`, but for the `At` ones, which are of the wall clock. */
export interface Heard {
  readonly count: number
  readonly firstAt: number
  readonly lastAt: number
  readonly lastMs: number
}

const nothing: Heard = { count: 0, firstAt: 0, lastAt: 0, lastMs: 0 }

type Source = 'revoked' | 'expired' | 'bare'

const heard: Record<Source, Heard> = { revoked: nothing, expired: nothing, bare: nothing }
/** Of each expired token, ms after the second of its `exp`. */
let lateMs: number[] = []
const times: Record<'revoked' | 'bare', [string, number][]> = { revoked: [], bare: [] }

function note(source: Source): number {
  const { count, firstAt } = heard[source]
  const now = Date.now()
  const ms = clockMs()
  heard[source] = {
    count: count + 1,
    firstAt: count === 0 ? now : firstAt,
    lastAt: now,
    lastMs: ms,
  }
  return ms
}

const methods = {
  async start({ amqpUrl, exchange, knell, expiries, eventKeys }: ListenerOptions): Promise<void> {
    await openBareConsumer(amqpUrl, exchange, (messageId) => {
      times.bare.push([messageId, note('bare')])
    })
    if (knell === undefined) return
    const subscriber = await connect({
      service: 'bench',
      amqp: amqpUrl,
      pull: [knell.url],
      apiKey: knell.apiKey,
      namespace: knell.namespace,
      ...(eventKeys && { eventKeys }),
    })
    subscriber.on('revoked', ({ match }) => {
      times.revoked.push([String(match['jti']), note('revoked')])
    })
    if (expiries !== true) return
    subscriber.on('expired', ({ exp }) => {
      note('expired')
      lateMs.push(heard.expired.lastAt - exp * 1000)
    })
  },

  heard: (source: Source): Heard => heard[source],

  /** When each message came since the last reset. */
  times: (source: 'revoked' | 'bare'): readonly [string, number][] => times[source],

  lateMs: (): readonly number[] => lateMs,

  reset(): void {
    lateMs = []
    for (const source of ['revoked', 'expired', 'bare'] as const) heard[source] = nothing
    times.revoked = []
    times.bare = []
  },
}

export type Listener = typeof methods

serve(methods)
