import { setTimeout as delay } from 'node:timers/promises'
import { call } from './client.ts'
import type { Stage } from './stage.ts'

const LOOK_EVERY_MS = 1000

/** Repeats `check` until it finds nothing wrong, or the time is up; returns what is wrong then. */
export async function settle(
  withinMs: number,
  signal: AbortSignal,
  check: () => Promise<string[]>,
): Promise<string[]> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const wrong = await check()
    if (wrong.length === 0 || performance.now() > deadline || signal.aborted) return wrong
    await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => {})
  }
}

/** Which parts do not run, or are not well. */
export async function unwell({ notifiers, pollers, services, apiKey }: Stage): Promise<string[]> {
  const found: string[] = []
  for (const { name, url } of [...notifiers, ...pollers]) {
    const outcome = await call(`${url}/readyz`, apiKey)
    const status = outcome.kind === 'acknowledged' ? outcome.body['status'] : outcome.kind
    if (status !== 'ok') found.push(`${name} is ${String(status)}.`)
  }
  for (const { name, child } of services) {
    const state = await child?.call('state')
    if (state?.isReady === true && state.push === 'up' && state.staleMs < 3000) continue
    found.push(`${name} is not fresh: ${JSON.stringify(state)}`)
  }
  return found
}
