import { setTimeout as delay } from 'node:timers/promises'
import type { Child } from '../child.ts'
import { clockMs } from '../clock.ts'
import type { ProtectedService } from './protected-service.ts'

/** How a token is killed: resolves when the call that does it has returned. */
export type Kill = (token: string) => Promise<unknown>

/** A service asks this often for a token that is about to die: what is measured is not finer. */
const WATCH_EVERY_MS = 1
/** Where many are watched at a time, they must not take the core from each other. */
const WATCH_MANY_EVERY_MS = 10
const PACE_MS = 10

/** ms from the return of each call until its token is refused; 0 where it was refused before that. */
export async function deathsOneByOne(
  service: Child<ProtectedService>,
  kill: Kill,
  tokens: readonly string[],
): Promise<number[]> {
  const lags: number[] = []
  for (const token of tokens) {
    await service.call('watch', token, WATCH_EVERY_MS)
    await delay(PACE_MS)
    lags.push(await lagOf(service, kill, token))
  }
  return lags
}

/** The same for what takes `spanMs` to be noticed: all at a time, each at a moment of its own. */
export async function deathsTogether(
  service: Child<ProtectedService>,
  kill: Kill,
  tokens: readonly string[],
  spanMs: number,
): Promise<number[]> {
  return Promise.all(
    tokens.map(async (token, i) => {
      await delay((spanMs * i) / tokens.length)
      await service.call('watch', token, WATCH_MANY_EVERY_MS)
      await delay(spanMs * Math.random())
      return lagOf(service, kill, token)
    }),
  )
}

async function lagOf(service: Child<ProtectedService>, kill: Kill, token: string): Promise<number> {
  await kill(token)
  const returned = clockMs()
  return Math.max(0, (await service.call('refusedAt', token)) - returned)
}
