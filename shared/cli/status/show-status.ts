import { paint } from '../terminal/colours.ts'
import { toList, toTable } from '../terminal/table.ts'
import { showDuration, showMs } from '../terminal/time.ts'
import type { Status, SubscriberShown } from './read-status.ts'

const colours = { ok: 'green', degraded: 'yellow', failing: 'red' } as const

/** The state of the whole, painted. */
export function showVerdict(verdict: string): string {
  return paint(colours[verdict as keyof typeof colours] ?? 'dim', verdict)
}

/** One screen: health, who listens, what the last sweep caught. */
export function showStatus(status: Status): string {
  const { health, subscribers, sweep, missing } = status
  const parts = [
    toList([
      ['notifier', `${status.url}  ${showVerdict(health.status)}`],
      ['store', health.store.ok ? 'ok' : (health.store.problem ?? 'not ok')],
      ['RabbitMQ', showBroker(health.broker)],
      ['subscribers', subscribers && countStates(subscribers.subscribers)],
      ['last sweep', sweep && showSweep(sweep)],
    ]),
  ]
  if (subscribers !== undefined && subscribers.subscribers.length > 0) {
    parts.push(subscriberTable(subscribers.subscribers))
  }
  const gone = Object.entries(missing).map(([name, why]) => `${name}: ${why}`)
  if (gone.length > 0) parts.push(paint('dim', gone.join('\n')))
  return parts.join('\n\n')
}

function showBroker({ ok, blocked, problem }: Status['health']['broker']): string {
  if (blocked) return 'blocked: RabbitMQ takes no messages'
  return ok ? 'ok' : (problem ?? 'not ok')
}

function countStates(all: readonly SubscriberShown[]): string {
  if (all.length === 0) return 'none'
  const counts = new Map<string, number>()
  for (const { state } of all) counts.set(state, (counts.get(state) ?? 0) + 1)
  return [...counts].map(([state, count]) => `${count} ${state}`).join(', ')
}

/** Who listens, one instance a line. */
export function subscriberTable(all: readonly SubscriberShown[]): string {
  return toTable(
    ['service', 'instance', 'state', 'behind', 'stale', 'may be stale', 'seen'],
    all.map((one) => [
      one.service,
      one.instance,
      one.state,
      one.behind,
      one.staleMs === null ? null : showDuration(one.staleMs),
      one.maxStalenessMs === null ? 'for ever' : showDuration(one.maxStalenessMs),
      `${showDuration(one.lastSeenMs)} ago`,
    ]),
  )
}

export function showSweep(sweep: NonNullable<Status['sweep']>): string {
  const counts = Object.entries(sweep).filter(
    ([name, value]) => typeof value === 'number' && !/at$|ms$/i.test(name) && value > 0,
  )
  const what = counts.map(([name, value]) => `${name} ${String(value)}`).join(', ')
  return `${sweep.at === undefined ? '' : `${showMs(sweep.at)}, `}caught ${what || 'nothing'}`
}
