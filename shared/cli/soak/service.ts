import { appendFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { serve } from '../bench/serve.ts'
import { matchKey, type Claims } from '../../domain/claims.ts'
import type { DecisionCode } from '../../domain/decision.ts'
import { connect, type Subscriber } from '../../subscriber/index.ts'

/** A consuming service of the soak, in a process of its own that may be killed at any moment. */

export interface ServiceOptions {
  readonly service: string
  readonly tenants: readonly string[]
  readonly amqpUrl: string
  readonly urls: readonly string[]
  readonly apiKey: string
  readonly namespace: string
  /** Where each handled event is noted, on a line of its own, before its handler returns. */
  readonly handledFile: string
  /** Without handlers it is a view only, and leaves nothing in RabbitMQ. */
  readonly handles: boolean
  /** Of so many events one fails at its first try. */
  readonly failOneIn: number
}

export interface Said {
  readonly code: DecisionCode
  readonly active: boolean
  readonly asOf: number
}

export interface ServiceState {
  readonly isReady: boolean
  readonly push: 'up' | 'down'
  /** The oldest of its views. */
  readonly staleMs: number
  /** After a collection of garbage. */
  readonly heap: number
  /** What keeps a process alive (sockets, timers, …), by kind. */
  readonly resources: Readonly<Record<string, number>>
  readonly descriptors: number
  readonly rules: number
}

let subscriber: Subscriber | undefined

const methods = {
  pid: (): number => process.pid,

  /** Resolves when it is ready, and its handlers consume. */
  async start(options: ServiceOptions): Promise<void> {
    const { service, tenants, amqpUrl, urls, apiKey, namespace, handledFile, failOneIn } = options
    subscriber = await connect({
      service,
      tenants,
      amqp: amqpUrl,
      pull: urls,
      apiKey,
      namespace,
    })
    if (!options.handles) return
    await subscriber.handle(
      ['revoked', 'held', 'expired'],
      (event, { source, attempt }) => {
        if (attempt === 1 && Math.random() * failOneIn < 1) throw new Error('Not this time.')
        const what = 'match' in event ? matchKey(event.match) : event.jti
        appendFileSync(handledFile, `${JSON.stringify([source.tenant, source.kind, what])}\n`)
      },
      { prefetch: 100, concurrency: 20 },
    )
  },

  check(tenant: string, all: readonly Claims[]): readonly Said[] {
    return all.map((claims) => {
      const said = subscriber?.check(claims, undefined, { tenant })
      if (said === undefined) return { code: 'not_ready', active: false, asOf: 0 }
      return { code: said.code, active: said.active, asOf: said.asOf }
    })
  },

  async state(): Promise<ServiceState> {
    globalThis.gc?.()
    const resources: Record<string, number> = {}
    for (const kind of process.getActiveResourcesInfo()) {
      resources[kind] = (resources[kind] ?? 0) + 1
    }
    const ages = subscriber?.tenants.map(
      (tenant) => subscriber?.freshness(tenant).staleMs ?? Infinity,
    )
    return {
      isReady: subscriber?.isReady ?? false,
      push: subscriber?.stats.push ?? 'down',
      staleMs: Math.max(...(ages ?? [Infinity])),
      heap: process.memoryUsage().heapUsed,
      resources,
      descriptors: (await readdir('/proc/self/fd').catch(() => [])).length,
      rules: subscriber?.stats.rules ?? 0,
    }
  },

  async close(): Promise<void> {
    await subscriber?.close()
  },
}

export type Service = typeof methods

serve(methods)
