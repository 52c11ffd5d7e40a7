import { constants } from 'node:os'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type Interrupt = (typeof signals)[number]

/** npm passes a Ctrl-C on that the terminal has sent to the whole group already, so each arrives twice. */
const SAME_KEYSTROKE_MS = 1_000

/**
 * Calls `stop` at the first Ctrl-C, SIGTERM or SIGHUP. Another one more than a second later ends the
 * process at once; what it leaves behind is the reaper's to clear away.
 */
export function onInterrupt(stop: (signal: Interrupt) => void): void {
  let firstAt: number | undefined
  const listener = (signal: Interrupt): void => {
    const now = performance.now()
    if (firstAt === undefined) {
      firstAt = now
      stop(signal)
    } else if (now - firstAt > SAME_KEYSTROKE_MS) {
      process.exit(exitCodeOf(signal))
    }
  }
  for (const signal of signals) process.on(signal, listener)
}

/** The exit code a shell gives to a process that a signal has ended. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}
