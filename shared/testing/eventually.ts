import { setTimeout as delay } from 'node:timers/promises'

/**
 * Repeats `check` until it returns something truthy without throwing, and returns that. For effects
 * that announce themselves by no event; never sleep for one. On time-out it throws, with `check`'s
 * last error in the message and as the cause.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: {
    readonly timeoutMs?: number
    readonly intervalMs?: number
    readonly what?: string
  } = {},
): Promise<T> {
  const { timeoutMs = 10_000, intervalMs = 20, what = 'the check to hold' } = options
  const deadline = performance.now() + timeoutMs
  for (;;) {
    let problem: unknown
    try {
      const result = await check()
      if (result) return result
      problem = `it returned ${JSON.stringify(result)}`
    } catch (error) {
      problem = error
    }
    if (performance.now() >= deadline) {
      const last = problem instanceof Error ? problem.message : String(problem)
      throw new Error(`Waited ${timeoutMs} ms for ${what}; at last: ${last}`, { cause: problem })
    }
    // A timer that keeps nothing alive is not itself a leftover to the check of the root hook.
    await delay(intervalMs, undefined, { ref: false })
  }
}
