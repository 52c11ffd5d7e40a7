import type { SweepReport } from './types.ts'

/** What a sweep can catch: what the push path, or a service's handlers, had missed. */
const catches: readonly (readonly [keyof SweepReport, string])[] = [
  ['overdueTokens', 'expired tokens that were not announced'],
  ['overdueExpiring', 'announcements before expiry that were not made'],
  ['overdueHolds', 'holds past their review'],
  ['overdueSchedules', 'schedules past their time'],
  ['unsentEntries', 'entries that were not sent'],
  ['resentEntries', 'entries sent again to handlers'],
  ['closedEntries', 'entries given up to dead letters'],
  ['lostEntries', 'entries that the feed had lost'],
]

export function caughtBy(report: SweepReport): number {
  return catches.reduce((sum, [member]) => sum + Number(report[member] ?? 0), 0)
}

export function caughtText(report: SweepReport): string {
  const parts = catches.flatMap(([member, words]) => {
    const value = Number(report[member] ?? 0)
    return value === 0 ? [] : [`${value} ${words}`]
  })
  return parts.length === 0 ? 'nothing was missed' : parts.join('; ')
}
