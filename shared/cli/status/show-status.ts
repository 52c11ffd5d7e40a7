import { paint } from '../terminal/colours.ts'
import { toList, toTable } from '../terminal/table.ts'
import { showDuration, showMs } from '../terminal/time.ts'
import { showVerdict } from './show-verdict.ts'
import type { Overview, Status, SubscriberShown } from './read-status.ts'

/** One screen: health, who listens, what the last sweep caught. */
export function showStatus(status: Status): string {
  const { health, overview, subscribers, queues, sweep, missing } = status
  const parts = [
    toList([
      ['notifier', `${status.url}  ${showVerdict(health.status)}`],
      ['store', health.store.ok ? 'ok' : (health.store.problem ?? 'not ok')],
      ['RabbitMQ', showBroker(health.broker)],
      ['enforced', overview && showEnforced(overview)],
      ['push', overview && showPush(overview)],
      ['store holds', overview && showHeld(overview)],
      ['queues', queues && `${showVerdict(queues.verdict)}  ${queues.reason ?? ''}`],
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

function showEnforced({ enforced: { verdict, reason = '', slowest } }: Overview): string {
  const last = slowest === null ? '' : `; slowest: ${slowest.service} ${slowest.instance}`
  return `${showVerdict(verdict)}  ${reason}${last}`
}

function showPush({ push, revocationsPerSecond, expiriesPerSecond }: Overview): string {
  const { p50Ms, p99Ms } = push
  const how =
    p50Ms === null ? 'nothing in the last minute' : `median ${p50Ms} ms, 99 % ${p99Ms ?? '?'} ms`
  const perSecond = [
    [revocationsPerSecond, 'revocations'],
    [expiriesPerSecond, 'expiries'],
  ].flatMap(([rate, what]) =>
    rate === null ? [] : [`${Number(rate).toFixed(1)} ${what} a second`],
  )
  return [how, ...perSecond].join('; ')
}

function count(value: number | null): string {
  return value?.toLocaleString('en') ?? '?'
}

function showHeld({ rules, tokensWaiting }: Overview): string {
  return `${count(rules)} live rules, ${count(tokensWaiting)} registered tokens`
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
