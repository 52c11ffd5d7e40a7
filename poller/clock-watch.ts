import type { Moment } from '../shared/domain/store-clock.ts'
import { thisMoment } from '../shared/process/this-moment.ts'

const LOOK_MS = 1000
/** A clock that was set back by less than this makes a firing late by no more than this. */
const NOTICED_MS = 1000

/** How far the wall clock is ahead of the monotonic one, and whether it was set back since `ahead` was measured. */
export function planWatch(
  ahead: number,
  { wall, mono }: Moment,
): { ahead: number; isBack: boolean } {
  const measured = wall - mono
  const isBack = measured < ahead - NOTICED_MS
  return { ahead: isBack ? measured : Math.max(ahead, measured), isBack }
}

/**
 * Tells when the wall clock of this machine was set back. Cron waits for a time of day: with a clock
 * that was set back by an hour it would be silent for an hour.
 */
export class ClockWatch {
  readonly #onSetBack: () => void
  #ahead = 0
  #timer: NodeJS.Timeout | undefined

  constructor(onSetBack: () => void) {
    this.#onSetBack = onSetBack
  }

  start(): void {
    if (this.#timer !== undefined) return
    this.#ahead = -Infinity
    this.#look()
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    const { ahead, isBack } = planWatch(this.#ahead, thisMoment())
    this.#ahead = ahead
    if (isBack) this.#onSetBack()
  }
}
