import { once } from 'node:events'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import { connect, type Claims, type Subscriber } from '../../subscriber/index.ts'
import { clockMs } from './clock.ts'
import { serve } from './serve.ts'
import { quantile } from './statistics.ts'
import { tokenOf } from './tokens.ts'

/** A consuming service in which very many tokens are waited for. */

export interface WaiterOptions {
  readonly amqpUrl: string
  readonly namespace: string
  readonly url: string
  readonly apiKey: string
}

/** How a token is waited for. Each way has tokens and a client of its own, so that what ends some ends no others. */
export type Way = 'watch' | 'signal'

const FIRST: Readonly<Record<Way, number>> = { watch: 0, signal: 100_000_000 }
const LIFE_SECONDS = 3000
/** After a forced collection the engine sweeps a heap of a gigabyte beside the program for about so long. */
const SETTLE_MS = 1000
const BATCH = 500
const iat: number = Math.floor(Date.now() / 1000)

let subscriber: Subscriber | undefined
let bare: AbortController[] = []
let diedAt: Promise<number> | undefined

function service(): Subscriber {
  if (subscriber === undefined) throw new Error('There is no subscriber.')
  return subscriber
}

function memory(): number {
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** As they come out of a token: texts that nothing has looked at yet. */
function claimsOf(way: Way, index: number): Claims {
  const token = tokenOf(index + FIRST[way], iat + LIFE_SECONDS + (index % 600))
  return JSON.parse(
    JSON.stringify({ iss: 'https://issuer', ...token, client_id: `${way}-app`, iat }),
  ) as Claims
}

function listen(): void {}

const methods = {
  async boot({ amqpUrl, namespace, url, apiKey }: WaiterOptions): Promise<void> {
    subscriber = await connect({
      service: 'bench',
      amqp: amqpUrl,
      namespace,
      pull: [url],
      apiKey,
    })
    while (subscriber.stats.push !== 'up') await once(subscriber, 'push')
  },

  /** Bytes of an AbortController with its signal, Node's own. */
  weighBare(count: number): number {
    const before = memory()
    bare = Array.from({ length: count }, () => new AbortController())
    for (const controller of bare) if (controller.signal.aborted) throw new Error('It aborted.')
    const bytes = (memory() - before) / count
    bare = []
    return bytes
  },

  /** Waits for so many tokens; bytes of the process for each. */
  add(way: Way, count: number): number {
    const before = memory()
    for (let i = 0; i < count; i++) {
      const claims = claimsOf(way, i)
      if (way === 'signal') service().signal(claims)
      else service().watch(claims, listen)
    }
    const bytes = (memory() - before) / count
    const { watched } = service().stats
    if (watched !== count) throw new Error(`${watched} of ${count} tokens are waited for.`)
    return bytes
  },

  /** One more waits for this token, and notes when it dies. Returns its jti. */
  arm(way: Way, index: number): unknown {
    const claims = claimsOf(way, index)
    diedAt = new Promise((resolve) => {
      const note = (): void => resolve(clockMs())
      if (way === 'signal') service().signal(claims).addEventListener('abort', note)
      else service().watch(claims, note)
    })
    return claims['jti']
  },

  /** When it died, by `clockMs`. */
  died: (): Promise<number> | undefined => diedAt,

  /** Waits until nothing is waited for any more: how long after the rule had come, and the longest that the process did nothing else. */
  async emptied(): Promise<{ readonly ms: number; readonly longestMs: number }> {
    const { watched } = service().stats
    while (service().stats.watched === watched) await turn()
    const started = performance.now()
    let [last, longestMs] = [started, 0]
    while (service().stats.watched > 0) {
      await turn()
      const now = performance.now()
      longestMs = Math.max(longestMs, now - last)
      last = now
    }
    return { ms: Math.max(last - started, 0.001), longestMs: Math.max(longestMs, 0.001) }
  },

  /** ns per check of a good token: the median over batches, so that a collection in the middle of one does not count. */
  async check(way: Way, first: number, count: number): Promise<number> {
    const tokens = Array.from({ length: count }, (_, i) => claimsOf(way, first + i))
    globalThis.gc?.()
    await delay(SETTLE_MS)
    const batches: number[] = []
    for (let from = 0; from < count; from += BATCH) {
      const batch = tokens.slice(from, from + BATCH)
      let active = 0
      const started = process.hrtime.bigint()
      for (const claims of batch) if (service().check(claims).active) active += 1
      batches.push(Number(process.hrtime.bigint() - started) / batch.length)
      if (active !== batch.length) throw new Error(`${batch.length - active} checks refused.`)
    }
    return quantile(batches, 0.5)
  },
}

export type WaiterProgram = typeof methods

serve(methods)
