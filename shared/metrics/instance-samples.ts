import type { Seen } from '../store/population.ts'
import type { Sample } from './collector.ts'

/** Past so many services the rest share a label, whose name no service can have. */
const MAX_SERVICES = 100
const OTHERS = '_other'

interface OfService {
  readonly states: Map<string, number>
  staleMs: number | undefined
  behind: number | undefined
}

/** Instances as gauges per service: how many are in which state, and how far the worst live one is behind. */
export function instanceSamples(seen: readonly Seen[]): Sample[] {
  const names = [...new Set(seen.map(({ instance }) => instance.service))].sort()
  const named = new Set(names.slice(0, MAX_SERVICES))
  const services = new Map<string, OfService>()
  for (const { instance, isGone, staleMs, behind } of seen) {
    const name = named.has(instance.service) ? instance.service : OTHERS
    const service = services.get(name) ?? {
      states: new Map<string, number>(),
      staleMs: undefined,
      behind: undefined,
    }
    services.set(name, service)
    const state = isGone ? 'gone' : instance.state
    service.states.set(state, (service.states.get(state) ?? 0) + 1)
    if (isGone) continue
    service.staleMs = largest(service.staleMs, staleMs)
    service.behind = largest(service.behind, behind)
  }
  return [...services].flatMap(([service, { states, staleMs, behind }]): Sample[] => [
    ...[...states].map(([state, value]): Sample => ({
      name: 'knell_subscriber_instances',
      value,
      labels: { service, state },
    })),
    ...(staleMs === undefined
      ? []
      : [
          {
            name: 'knell_subscriber_staleness_seconds' as const,
            value: staleMs / 1000,
            labels: { service },
          },
        ]),
    ...(behind === undefined
      ? []
      : [{ name: 'knell_subscriber_lag_entries' as const, value: behind, labels: { service } }]),
  ])
}

function largest(known: number | undefined, next: number | null): number | undefined {
  if (next === null) return known
  return Math.max(known ?? 0, next)
}
