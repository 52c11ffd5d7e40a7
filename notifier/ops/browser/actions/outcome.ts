import { nameOf } from '../enforcement.ts'
import { count, duration } from '../format.ts'
import type { Tone } from '../parts/status.ts'

/** How far a change is enforced when its call answers. */
export interface Enforced {
  readonly done: boolean
  readonly live: number
  readonly applied: number
  readonly missing: readonly { readonly service: string; readonly instance: string }[]
  readonly ms: number
}

export interface Done {
  readonly id: string
  readonly enforced?: Enforced
}

/** How long a call waits until every instance has applied it. */
export const WAIT = { for: 'all', timeoutMs: 10_000 } as const

export function outcomeOf({ enforced }: Done, what: string): { tone: Tone; text: string } {
  if (enforced === undefined) return { tone: 'good', text: `${what}.` }
  const { done, live, applied, missing, ms } = enforced
  if (live === 0)
    return { tone: 'unknown', text: `${what}. No service listens, so nothing enforces it yet.` }
  const on = `on ${count(applied)} of ${count(live)}`
  if (done) return { tone: 'good', text: `${what}, and enforced ${on} in ${duration(ms)}.` }
  const names = missing.slice(0, 5).map(nameOf).join(', ')
  return {
    tone: 'attention',
    text: `${what}. After ${duration(ms)} it is enforced ${on}; not yet by ${names}.`,
  }
}
