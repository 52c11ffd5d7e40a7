import type { Styled } from '../terminal/colours.ts'

const colours = { ok: 'green', degraded: 'yellow', failing: 'red' } as const

/** The state of the whole, in its colour. */
export function showVerdict(verdict: string): Styled {
  return { text: verdict, style: colours[verdict as keyof typeof colours] ?? 'dim' }
}
