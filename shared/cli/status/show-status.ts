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
      ['last sweep', sweep && `${showMs(sweep.at)}, caught ${caughtBy(sweep)}`],
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

/** What a sweep found that the push path had missed, by name; what it only tidied up is no find. */
export function caughtBy(sweep: NonNullable<Status['sweep']>): string {
  const found = Object.entries(sweep).filter(
    ([name, value]) => !beside.has(name) && typeof value === 'number' && value > 0,
  )
  return found.map(([name, value]) => `${wordsOf(name)}: ${String(value)}`).join(', ') || 'nothing'
}

const beside: ReadonlySet<string> = new Set(['at', 'durationMs', 'prunedRules', 'trimmedEntries'])

/** `overdueTokens` as `overdue tokens`. */
function wordsOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}
