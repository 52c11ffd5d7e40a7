import type { Bench } from '../bench-context.ts'
import { show } from '../statistics.ts'
import { EVERY_MS } from './gate.ts'
import { AT_ONCE } from './measuring.ts'
import type { Outcome } from './outcome.ts'
import { SHORT_LIFE_MS } from './short-life.ts'

const MB = 1_000_000

/** What one must know to read the table. */
export function notesOf(
  { sizes }: Bench,
  outcomes: readonly Outcome[],
  listBytes: number,
): readonly string[] {
  const { sessions, perRound, rounds, deaths, revoked, cacheMs } = sizes.strategies
  const of = (name: string): Outcome | undefined => outcomes.find(({ plan }) => plan.name === name)
  return [
    `${rounds} rounds of ${perRound} requests by ${sessions} sessions, the same for all, in turns; ES256, one service process each. The first columns are of one request after the other, requests/s and CPU of the service of ${AT_ONCE} at a time. Redis, RabbitMQ and the notifier share the cores.`,
    `Refused after: from the return of the call that kills to the first refusal, ${deaths} tokens one by one, looked at each ms; 0 where it was refused before the return. In brackets: reckoned for a life of ${show(SHORT_LIFE_MS / 60_000)} min, killed at any moment of it.`,
    `The list knows single tokens only. The cache believes for ${show(cacheMs / 1000)} s, and its time passes as if each session asked every ${show(EVERY_MS / 1000)} s.`,
    `Memory with ${revoked} revoked: ${show(listBytes)} B each in Redis for the list, ${show((of('view')?.grownBytes ?? 0) / MB)} MB in each service for the view, ${show(of('cached')?.perToken ?? 0)} B per live token in each service for the cache.`,
  ]
}
