import type { Moment } from '../domain/store-clock.ts'

/** The two clocks of this process, read at once. */
export function thisMoment(): Moment {
  return { mono: performance.now(), wall: Date.now() }
}
