import { paint } from '../terminal/colours.ts'

const colours = { ok: 'green', degraded: 'yellow', failing: 'red' } as const

/** The state of the whole, painted. */
export function showVerdict(verdict: string): string {
  return paint(colours[verdict as keyof typeof colours] ?? 'dim', verdict)
}
