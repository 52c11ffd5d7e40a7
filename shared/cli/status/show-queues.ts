import { toList, toTable } from '../terminal/table.ts'
import { showDuration } from '../terminal/time.ts'
import { showVerdict } from './show-verdict.ts'

/** What `GET /v1/queues` answers, as far as it is shown. */
export interface Queues {
  readonly verdict: string
  readonly reason?: string
  readonly parts?: readonly {
    readonly part: string
    readonly verdict: string
    readonly reason?: string
  }[]
  readonly queues?: readonly {
    readonly name: string
    readonly kind: string
    readonly messages: number | null
    readonly unacked?: number | null
    readonly consumers?: number | null
  }[]
  readonly bullmq?: readonly {
    readonly queue: string
    readonly counts: Readonly<Record<string, number>>
  }[]
  readonly feed?: readonly {
    readonly log: string
    readonly unsent: number
    readonly oldestUnsentMs?: number | null
  }[]
}

/** The verdict and its parts, then every queue. */
export function showQueues({
  verdict,
  reason = '',
  parts = [],
  queues = [],
  bullmq = [],
  feed = [],
}: Queues): string {
  const tables = [
    toList([['verdict', [showVerdict(verdict), '  ', reason]]]),
    toTable(
      ['part', 'verdict', 'why'],
      parts.map((part) => [part.part, part.verdict, part.reason]),
    ),
    toTable(
      ['queue', 'kind', 'messages', 'unacked', 'consumers'],
      queues.map(({ name, kind, messages, unacked, consumers }) => [
        name,
        kind,
        messages,
        unacked,
        consumers,
      ]),
    ),
    toTable(
      ['jobs of', 'counts'],
      bullmq.map(({ queue, counts }) => [queue, showCounts(counts)]),
    ),
    toTable(
      ['log', 'unsent entries', 'oldest'],
      feed.map(({ log, unsent, oldestUnsentMs }) => [
        log,
        unsent,
        typeof oldestUnsentMs === 'number' ? showDuration(oldestUnsentMs) : null,
      ]),
    ),
  ]
  return tables.filter((table) => table !== '').join('\n\n')
}

function showCounts(counts: Readonly<Record<string, number>>): string {
  const found = Object.entries(counts).filter(([, count]) => count > 0)
  return found.map(([state, count]) => `${count} ${state}`).join(', ') || 'none'
}
