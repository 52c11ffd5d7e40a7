import {
  recoveredIn,
  recoveredKinds,
  type Caught,
  type Recovered,
} from '../../metrics/recovered.ts'
import { paint, type Styled } from '../terminal/colours.ts'
import { harmless } from '../terminal/print.ts'
import { toList, toTable } from '../terminal/table.ts'
import { showDuration, showMs } from '../terminal/time.ts'
import { showVerdict } from './show-verdict.ts'
import {
  NOT_OFFERED,
  type Overview,
  type Status,
  type SubscriberShown,
  type SweepReport,
} from './read-status.ts'

/** One screen: health, who listens, what the last sweep caught. */
export function showStatus(status: Status): string {
  const { health, overview, subscribers, queues, sweep, missing } = status
  const gone = namesByReason(missing)
  // Only a notifier knows of the whole.
  const process = missing['overview'] === NOT_OFFERED ? 'poller' : 'notifier'
  const parts = [
    toList([
      [process, [`${status.url}  `, showVerdict(health.status)]],
      ['store', health.store.ok ? 'ok' : (health.store.problem ?? 'not ok')],
      ['RabbitMQ', showBroker(health.broker)],
      ['enforced', overview && showEnforced(overview)],
      ['push', overview && showPush(overview)],
      ['store holds', overview && showHeld(overview)],
      ['queues', queues && [showVerdict(queues.verdict), `  ${queues.reason ?? ''}`]],
      ['subscribers', subscribers && countStates(subscribers.subscribers)],
      ['last sweep', sweep && `${showMs(sweep.at)}, caught ${caughtBy(sweep)}`],
    ]),
  ]
  if (subscribers !== undefined && subscribers.subscribers.length > 0) {
    parts.push(subscriberTable(subscribers.subscribers))
  }
  if (gone.length > 0) parts.push(gone.map((line) => paint('dim', harmless(line))).join('\n'))
  return parts.join('\n\n')
}

/** What is missing for one reason is told together. */
function namesByReason(missing: Status['missing']): readonly string[] {
  const names = new Map<string, string[]>()
  for (const [name, why] of Object.entries(missing)) {
    names.set(why, [...(names.get(why) ?? []), name])
  }
  return [...names].map(([why, all]) => `${all.join(', ')}: ${why}`)
}

function showEnforced({
  enforced: { verdict, reason = '', slowest },
}: Overview): readonly (string | Styled)[] {
  const last = slowest === null ? '' : ` Slowest: ${slowest.service} ${slowest.instance}.`
  return [showVerdict(verdict), `  ${reason}${last}`]
}

function showPush({ push, revocationsPerSecond, expiriesPerSecond }: Overview): string {
  const { p50Ms, p99Ms } = push
  const how =
    p50Ms === null
      ? 'nothing in the last minute'
      : `median ${showDuration(p50Ms)}, 99 % ${p99Ms === null ? '?' : showDuration(p99Ms)}`
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

/** What a sweep found that the push path, or a service, had missed; what it only tidied up is no find. */
export function caughtBy(sweep: SweepReport): string {
  const counts = recoveredIn(sweep as Partial<Caught>)
  const found = recoveredKinds.filter((kind) => counts[kind] > 0)
  return found.map((kind) => `${words[kind]}: ${counts[kind]}`).join(', ') || 'nothing'
}

const words: Readonly<Record<Recovered, string>> = {
  tokens: 'overdue tokens',
  expiring: 'overdue announcements before expiry',
  holds: 'overdue holds',
  schedules: 'overdue schedules',
  entries: 'unsent entries',
  resent: 'resent entries',
  closed: 'closed entries',
  lost: 'lost entries',
}
