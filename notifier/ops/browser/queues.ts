import type { Tone } from './parts/status.ts'
import type { PartVerdict, Queues, QueueRow } from './types.ts'

const tones: Readonly<Record<PartVerdict, Tone>> = {
  ok: 'good',
  unknown: 'unknown',
  degraded: 'attention',
  failing: 'bad',
}

export function toneOfVerdict(verdict: PartVerdict): Tone {
  return tones[verdict]
}

/** Whether RabbitMQ told how full its queues are. */
export function areCounted({ rabbitmq: { up, unknown } }: Queues): boolean {
  return up && unknown.length === 0
}

export const NOT_COUNTED = [
  'Not known now',
  'RabbitMQ does not tell how full its queues are. Nothing in them is lost by that.',
] as const

/** What waits for the handlers of one service. */
export interface ServiceWork {
  readonly service: string
  readonly waiting: number
  readonly retrying: number
  readonly dead: number
}

const members = { service: 'waiting', retry: 'retrying', dead: 'dead' } as const

/** Adds up the queues of each service. Those of instances are nobody's work. */
export function servicesIn(queues: readonly QueueRow[]): ServiceWork[] {
  const found = new Map<string, ServiceWork>()
  for (const { service, kind, messages } of queues) {
    if (service === undefined || kind === 'instance') continue
    const known = found.get(service) ?? { service, waiting: 0, retrying: 0, dead: 0 }
    const member = members[kind]
    found.set(service, { ...known, [member]: known[member] + (messages ?? 0) })
  }
  return [...found.values()].toSorted((a, b) => (a.service < b.service ? -1 : 1))
}
