import type { Tone } from './parts/status.ts'
import type { QueueRow, Verdict } from './types.ts'

const tones: Readonly<Record<Verdict, Tone>> = {
  ok: 'good',
  degraded: 'attention',
  failing: 'bad',
}

export function toneOfVerdict(verdict: Verdict): Tone {
  return tones[verdict]
}

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
