/** What a sweep can catch, by the word that metrics have for it. */
export type Recovered =
  'tokens' | 'expiring' | 'holds' | 'schedules' | 'entries' | 'resent' | 'closed' | 'lost'

/** The part of a sweep's report that says what the push path, or a service, had missed. */
export interface Caught {
  readonly overdueTokens: number
  readonly overdueExpiring: number
  readonly overdueHolds: number
  readonly overdueSchedules: number
  readonly unsentEntries: number
  readonly resentEntries: number
  readonly closedEntries: number
  readonly lostEntries: number
}

const members: Readonly<Record<Recovered, keyof Caught>> = {
  tokens: 'overdueTokens',
  expiring: 'overdueExpiring',
  holds: 'overdueHolds',
  schedules: 'overdueSchedules',
  entries: 'unsentEntries',
  resent: 'resentEntries',
  closed: 'closedEntries',
  lost: 'lostEntries',
}

export const recoveredKinds: readonly Recovered[] = Object.keys(members) as Recovered[]

/** What a report counts, by the metrics' words. One that an older version wrote may lack some. */
export function recoveredIn(report: Partial<Caught>): Record<Recovered, number> {
  const counts = recoveredKinds.map((kind) => [kind, report[members[kind]] ?? 0])
  return Object.fromEntries(counts) as Record<Recovered, number>
}
