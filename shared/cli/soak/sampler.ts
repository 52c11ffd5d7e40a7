import { readdir, readFile } from 'node:fs/promises'
import type { RedisClient } from '../../store/store.ts'
import type { SoakEngines } from './engines.ts'
import type { Part } from './part.ts'
import type { Stage } from './stage.ts'

const EVERY_MS = 5000
const ANSWER_WITHIN_MS = 2000
const CONTROL_WITHIN_MS = 60_000

/** What a process, or an engine, holds at a moment. Absent figures could not be read. */
export type Figures = Readonly<Record<string, number>>

export interface Sample {
  readonly atMs: number
  /** By the name of the part, `redis` or `rabbitmq`. A process that was killed since is another one. */
  readonly of: ReadonlyMap<string, { readonly pid: number; readonly figures: Figures }>
}

/** Looks at every process and engine now and then. */
export class Sampler {
  readonly samples: Sample[] = []
  readonly #stage: Stage
  readonly #redis: RedisClient
  readonly #startedAt = performance.now()
  #timer: NodeJS.Timeout | undefined

  constructor(stage: Stage, redis: RedisClient) {
    this.#stage = stage
    this.#redis = redis
  }

  start(): void {
    this.#timer = setInterval(() => void this.take(), EVERY_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /**
   * Never throws: what is away or paused is left out. `exactly`: RabbitMQ is asked itself, at the
   * price of a program that starts; its page of metrics is some seconds late.
   */
  async take(exactly = false): Promise<Sample> {
    const { engines, services, notifiers, pollers, apiKey } = this.#stage
    const readings: [string, number | undefined, Promise<Figures>][] = [
      ...[...notifiers, ...pollers].map(
        (part) => [part.name, pidOf(part), knellFigures(part.url, apiKey)] as (typeof readings)[0],
      ),
      ...services.map(
        (part) => [part.name, pidOf(part), serviceFigures(part.child)] as (typeof readings)[0],
      ),
      ['redis', engines.redis.pid, redisFigures(this.#redis)],
      [
        'rabbitmq',
        engines.rabbit.pid,
        exactly ? exactRabbitFigures(engines.rabbit) : rabbitFigures(engines.metricsUrl),
      ],
    ]
    const of = new Map<string, { pid: number; figures: Figures }>()
    await Promise.all(
      readings.map(async ([name, pid, reading]) => {
        const figures = await within(reading, exactly ? CONTROL_WITHIN_MS : ANSWER_WITHIN_MS)
        if (pid === undefined || figures === undefined) return
        of.set(name, { pid, figures: { ...(await processFigures(pid)), ...figures } })
      }),
    )
    const sample = { atMs: performance.now() - this.#startedAt, of }
    this.samples.push(sample)
    return sample
  }
}

function pidOf({ pid, isPaused }: Part): number | undefined {
  return isPaused ? undefined : pid
}

async function within(reading: Promise<Figures>, ms: number): Promise<Figures | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  try {
    return await Promise.race([reading.catch(() => undefined), late])
  } finally {
    clearTimeout(timer)
  }
}

/** From /proc; nothing where there is none. */
async function processFigures(pid: number): Promise<Figures> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    const [, resident] = /^VmRSS:\s+(\d+) kB/m.exec(status) ?? []
    const descriptors = (await readdir(`/proc/${pid}/fd`)).length
    return { resident: Number(resident) * 1024, descriptors }
  } catch {
    return {}
  }
}

/** Values of Prometheus's text format, by metric, summed over its labels. */
async function scrape(url: string, headers: Record<string, string> = {}): Promise<Figures> {
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
  const sums: Record<string, number> = {}
  for (const [, name = '', value] of (await response.text()).matchAll(
    /^(\w+)(?:\{.*\})? (-?[\d.e+-]+)/gm,
  )) {
    sums[name] = (sums[name] ?? 0) + Number(value)
  }
  return sums
}

function pick(from: Figures, names: Readonly<Record<string, string>>): Figures {
  return Object.fromEntries(
    Object.entries(names).flatMap(([name, of]) => {
      const value = from[of]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

async function knellFigures(url: string, apiKey: string): Promise<Figures> {
  const all = await scrape(`${url}/metrics`, { authorization: `Bearer ${apiKey}` })
  return pick(all, {
    heap: 'nodejs_heap_size_used_bytes',
    resources: 'nodejs_active_resources_total',
  })
}

async function serviceFigures(child: Stage['services'][number]['child']): Promise<Figures> {
  const state = await child?.call('state')
  if (state === undefined) return {}
  const { heap, rules, resources } = state
  return { heap, rules, resources: Object.values(resources).reduce((sum, one) => sum + one, 0) }
}

async function redisFigures(redis: RedisClient): Promise<Figures> {
  const [info, keys] = await Promise.all([redis.info(), redis.dbsize()])
  const number = (name: string): number =>
    Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  const used = number('used_memory') - number('mem_clients_normal') - number('mem_aof_buffer')
  return { stored: used, keys, connections: number('connected_clients') }
}

async function rabbitFigures(url: string): Promise<Figures> {
  return pick(await scrape(url), {
    connections: 'rabbitmq_connections',
    channels: 'rabbitmq_channels',
    queues: 'rabbitmq_queues',
    messages: 'rabbitmq_queue_messages',
  })
}

const COUNTS =
  '[length(rabbit_networking:connections()), length(rabbit_channel:list()), length(rabbit_amqqueue:list())].'

async function exactRabbitFigures(rabbit: SoakEngines['rabbit']): Promise<Figures> {
  const output = await rabbit.control('eval', COUNTS)
  const [, counts = ''] = /^\[([\d,]+)\]/m.exec(output) ?? []
  const [connections = NaN, channels = NaN, queues = NaN] = counts.split(',').map(Number)
  return { connections, channels, queues }
}
